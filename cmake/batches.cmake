# SPDX-License-Identifier: Apache-2.0
# Half of the time of a clean build goes into the same standard headers again and again, so several sources are compiled
# as one file: generated/batches/<layer>_<number>.<extension>. Costs a little when one source changes; off for that.

# Replaces in `variable` the sources that match `pattern` by files that include up to `size` of them each. Neighbours, which
# are often of a kind and heavy together, come into different files.
function(stampede_batch variable layer pattern size)
  set(rest ${${variable}})
  set(chosen ${${variable}})
  list(FILTER rest EXCLUDE REGEX "${pattern}")
  list(FILTER chosen INCLUDE REGEX "${pattern}")
  list(LENGTH chosen count)
  math(EXPR batches "(${count} + ${size} - 1) / ${size}")
  set(number 0)
  foreach(source IN LISTS chosen)
    cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE relative)
    if(NOT relative MATCHES "^\\.\\.")
      set(source ${relative})  # for the compiler cache
    endif()
    math(EXPR batch "${number} % ${batches}")
    math(EXPR number "${number} + 1")
    string(APPEND text_${batch} "#include \"${source}\"\n")
    get_filename_component(extension ${source} LAST_EXT)
  endforeach()
  set(batch 0)
  while(batch LESS batches)
    set(file ${CMAKE_BINARY_DIR}/generated/batches/${layer}_${batch}${extension})
    file(CONFIGURE OUTPUT ${file} CONTENT "${text_${batch}}" @ONLY)
    list(APPEND rest ${file})
    math(EXPR batch "${batch} + 1")
  endwhile()
  set(${variable} ${rest} PARENT_SCOPE)
endfunction()
