// SPDX-License-Identifier: Apache-2.0
// Every command that docs/guide.md shows runs as it stands there.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/program_run.h"
#include "tests/unit/temporary_folder.h"

namespace stampede {
namespace {

std::vector<std::string> commands_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> commands;
  bool shown = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("```")) shown = line == "```sh";
    if (shown && line.starts_with("./stampede ")) commands.push_back(line);
  }
  return commands;
}

TEST(Guide, ItsCommandsRun) {
  const TemporaryFolder folder;
  const std::vector<std::string> commands = commands_of(STAMPEDE_SOURCE_DIR "/docs/guide.md");
  EXPECT_GE(commands.size(), 20u);
  for (const std::string& command : commands) {
    std::istringstream text(command);
    std::vector<std::string> words;
    for (std::string word; text >> word;) words.push_back(word);
    words.erase(words.begin());
    const ProgramResult result = run_built_program(words, {.folder = folder.path(), .timeout_seconds = 120});
    const bool no_gnuplot = words[0] == "plot" && result.err.find("gnuplot") != std::string::npos;
    EXPECT_TRUE(result.exit_code == 0 || no_gnuplot) << command << "\n" << result.err;
  }
}

}  // namespace
}  // namespace stampede
