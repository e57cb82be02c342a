# SPDX-License-Identifier: Apache-2.0
# `cmake --install`: the program, its libraries, their headers, and a package for find_package(stampede).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Environments and losses are templates compiled by their user: the same bits need the same numerical flags.
set(_user_flags -fno-trapping-math -fno-math-errno -ffp-contract=off)
if(STAMPEDE_PORTABLE)
  list(APPEND _user_flags -march=x86-64-v3)
else()
  list(APPEND _user_flags -march=native)
endif()
target_compile_options(stampede_flags INTERFACE "$<INSTALL_INTERFACE:$<$<COMPILE_LANGUAGE:CXX>:${_user_flags}>>")
target_compile_features(stampede_flags INTERFACE cxx_std_20)

set(_layers kernels sim replay agents train cli)
foreach(_layer IN LISTS _layers)
  set_target_properties(stampede_${_layer} PROPERTIES EXPORT_NAME ${_layer})
  install(TARGETS stampede_${_layer} EXPORT stampedeTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/stampede)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/${_layer} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/stampede
          FILES_MATCHING PATTERN "*.h" PATTERN "presets" EXCLUDE)
endforeach()
set_target_properties(stampede_flags PROPERTIES EXPORT_NAME flags)
install(TARGETS stampede_flags EXPORT stampedeTargets)
install(TARGETS stampede RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
foreach(_library stampede_torch stampede_torch_cuda)
  if(TARGET ${_library})
    # The program looks for it beside itself.
    install(FILES $<TARGET_FILE:${_library}> DESTINATION ${CMAKE_INSTALL_BINDIR} OPTIONAL)
  endif()
endforeach()

install(EXPORT stampedeTargets NAMESPACE stampede:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/stampede)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/stampedeConfig.cmake.in
                              ${CMAKE_BINARY_DIR}/generated/stampedeConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/stampede)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/generated/stampedeConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/generated/stampedeConfig.cmake
              ${CMAKE_BINARY_DIR}/generated/stampedeConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/stampede)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
