# SPDX-License-Identifier: Apache-2.0
# Generates one small .cu file per line of registry.def, so that environments compile in parallel and alone.

function(stampede_add_environments target definition)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${definition})
  file(STRINGS ${definition} lines REGEX "^[a-z]")
  set(folder ${CMAKE_BINARY_DIR}/generated/environments)
  set(declarations "")
  set(calls "")
  set(includes "")
  set(visits "")
  set(sources "")
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "^([a-z0-9_]+) +([A-Za-z0-9]+)$")
      message(FATAL_ERROR "${definition}: cannot read '${line}'; expected '<header> <type>'")
    endif()
    set(header ${CMAKE_MATCH_1})
    set(type ${CMAKE_MATCH_2})
    file(CONFIGURE OUTPUT ${folder}/${header}.cu @ONLY CONTENT [=[
// Generated from sim/registry.def.
#include "sim/envs/@header@.h"
#include "sim/register_environment.h"
namespace stampede {
void register_@header@(EnvRegistry& registry) { register_environment<@type@>(registry); }
}  // namespace stampede
]=])
    list(APPEND sources ${folder}/${header}.cu)
    string(APPEND declarations "void register_${header}(EnvRegistry&);\n")
    string(APPEND calls "  register_${header}(registry);\n")
    string(APPEND includes "#include \"sim/envs/${header}.h\"\n")
    string(APPEND visits "  visit.template operator()<${type}>(\"${type}\");\n")
  endforeach()
  if(STAMPEDE_BATCHES)
    stampede_batch(sources environments "\\.cu$" 5)
  endif()
  if(NOT STAMPEDE_CUDA)
    set_source_files_properties(${sources} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-xc++")
  endif()
  target_sources(${target} PRIVATE ${sources})
  file(CONFIGURE OUTPUT ${folder}/builtin_environments.cpp @ONLY CONTENT [=[
// Generated from sim/registry.def.
#include "sim/registry.h"
namespace stampede {
@declarations@
EnvRegistry builtin_environments() {
  EnvRegistry registry;
@calls@  return registry;
}
}  // namespace stampede
]=])
  target_sources(${target} PRIVATE ${folder}/builtin_environments.cpp)
  # For tests of the types themselves; nothing else includes all environments.
  file(CONFIGURE OUTPUT ${folder}/environment_types.h @ONLY CONTENT [=[
// Generated from sim/registry.def.
#pragma once
@includes@namespace stampede {
template <class Visit>
void for_each_environment_type(const Visit& visit) {
@visits@}
}  // namespace stampede
]=])
endfunction()
