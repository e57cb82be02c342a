// SPDX-License-Identifier: Apache-2.0
#include "cli/env_arguments.h"

namespace stampede {

EnvParameters env_parameters(const Arguments& arguments, const EnvEntry& entry) {
  std::vector<std::string> keys;
  for (const ParamInfo& info : entry.params) keys.push_back("env." + info.name);
  arguments.check_assignments(std::vector<std::string_view>(keys.begin(), keys.end()));
  EnvParameters parameters;
  for (const std::string& text : arguments.values("param")) {
    const Assignment assignment = split_assignment("param", text);
    parameters.emplace_back(assignment.name, assignment.text);
  }
  for (const Assignment& assignment : arguments.assignments()) {
    parameters.emplace_back(assignment.name.substr(4), assignment.text);
  }
  return parameters;
}

}  // namespace stampede
