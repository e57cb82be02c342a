// SPDX-License-Identifier: Apache-2.0
// The whole stampede program with one more environment: ./custom_env train ppo PointMass-v0
#include <string>
#include <vector>

#include "cli/command.h"
#include "point_mass.h"
#include "sim/register_environment.h"

int main(int argc, char** argv) {
  stampede::EnvRegistry environments = stampede::builtin_environments();
  stampede::register_environment<PointMass>(environments);
  const std::vector<std::string> words(argv + 1, argv + argc);
  return stampede::run_program(environments, words);
}
