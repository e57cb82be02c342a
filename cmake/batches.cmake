# SPDX-License-Identifier: Apache-2.0
# Half of the time of a clean build goes into the same standard headers again and again, so several sources are compiled
# as one file: generated/batches/<layer>_<number>.<extension>. Costs a little when one source changes; off for that.

# Replaces in `variable` the sources that match `pattern` by files that include `size` of them each.
function(stampede_batch variable layer pattern size)
  set(rest ${${variable}})
  set(chosen ${${variable}})
  list(FILTER rest EXCLUDE REGEX "${pattern}")
  list(FILTER chosen INCLUDE REGEX "${pattern}")
  list(LENGTH chosen count)
  set(number 0)
  while(count GREATER 0)
    list(GET chosen 0 first)
    get_filename_component(extension ${first} LAST_EXT)
    list(SUBLIST chosen 0 ${size} part)
    list(TRANSFORM part REPLACE "^${CMAKE_SOURCE_DIR}/" "")  # relative where possible, for the compiler cache
    list(TRANSFORM part PREPEND "#include \"")
    list(TRANSFORM part APPEND "\"")
    list(JOIN part "\n" text)
    set(file ${CMAKE_BINARY_DIR}/generated/batches/${layer}_${number}${extension})
    file(CONFIGURE OUTPUT ${file} CONTENT "${text}\n" @ONLY)
    list(APPEND rest ${file})
    math(EXPR number "${number} + 1")
    list(LENGTH chosen count)
    if(count GREATER size)
      list(SUBLIST chosen ${size} -1 chosen)
      math(EXPR count "${count} - ${size}")
    else()
      set(count 0)
    endif()
  endwhile()
  set(${variable} ${rest} PARENT_SCOPE)
endfunction()
