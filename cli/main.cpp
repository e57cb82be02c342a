// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "cli/command.h"

namespace {

// libgomp's waiting threads spin for milliseconds by default: on busy cores they take the time of the thread that they
// wait for. It reads its settings when it is loaded, so the program starts once more with a better one. Where that is
// not possible it goes on as it is.
void limit_spinning(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("GOMP_SPINCOUNT", "2000", 1);
  execv("/proc/self/exe", argv);
}

}  // namespace

int main(int argc, char** argv) {
  limit_spinning(argv);
  const std::vector<std::string> words(argv + 1, argv + argc);
  return stampede::run_program(stampede::builtin_environments(), words);
}
