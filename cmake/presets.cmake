# SPDX-License-Identifier: Apache-2.0
# Compiles the preset files into the program, so that the binary needs no file beside it.

function(stampede_embed_presets target folder)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*.toml)
  set(entries "")
  foreach(file IN LISTS files)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    get_filename_component(name ${file} NAME_WLE)
    file(READ ${file} text)
    string(APPEND entries "      {\"${name}\", R\"preset(${text})preset\"},\n")
  endforeach()
  set(output ${CMAKE_BINARY_DIR}/generated/presets.cpp)
  file(CONFIGURE OUTPUT ${output} @ONLY CONTENT [=[
// Generated from train/presets/*.toml.
#include "train/presets.h"
namespace stampede {
std::span<const Preset> builtin_presets() {
  static constexpr Preset kPresets[] = {
@entries@      {"", ""}};
  return std::span(kPresets).first(std::size(kPresets) - 1);
}
}  // namespace stampede
]=])
  target_sources(${target} PRIVATE ${output})
endfunction()
