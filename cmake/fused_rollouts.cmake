# SPDX-License-Identifier: Apache-2.0
# Generates one small .cu file per line of registry.def with the environment's fused rollout kernel, where CUDA is built.

# Sets `variable` to the generated sources.
function(stampede_fused_rollouts variable definition)
  set(folder ${CMAKE_BINARY_DIR}/generated/fused)
  set(declarations "")
  set(calls "")
  set(sources "")
  if(STAMPEDE_CUDA)
    file(STRINGS ${definition} lines REGEX "^[a-z]")
    foreach(line IN LISTS lines)
      string(REGEX MATCH "^([a-z0-9_]+) +([A-Za-z0-9]+)$" matched "${line}")
      set(header ${CMAKE_MATCH_1})
      set(type ${CMAKE_MATCH_2})
      file(CONFIGURE OUTPUT ${folder}/${header}_rollout.cu @ONLY CONTENT [=[
// Generated from sim/registry.def.
#include "sim/envs/@header@.h"
#include "train/fused/launch_rollout.h"
namespace stampede {
std::unique_ptr<FusedRollout> fused_rollout_@header@(const VectorEnv& env, Precision precision) {
  return make_fused_rollout<@type@>(env, precision);
}
}  // namespace stampede
]=])
      list(APPEND sources ${folder}/${header}_rollout.cu)
      string(APPEND declarations "std::unique_ptr<FusedRollout> fused_rollout_${header}(const VectorEnv&, Precision);\n")
      string(APPEND calls "  if (auto found = fused_rollout_${header}(env, precision)) return found;\n")
    endforeach()
  endif()
  file(CONFIGURE OUTPUT ${folder}/fused_rollouts.cpp @ONLY CONTENT [=[
// Generated from sim/registry.def.
#include "train/fused/fused_rollout.h"
namespace stampede {
@declarations@
std::unique_ptr<FusedRollout> find_fused_rollout([[maybe_unused]] const VectorEnv& env,
                                                 [[maybe_unused]] Precision precision) {
@calls@  return nullptr;
}
}  // namespace stampede
]=])
  set(${variable} ${sources} ${folder}/fused_rollouts.cpp PARENT_SCOPE)
endfunction()
