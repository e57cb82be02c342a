// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/program_run.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/unit/temporary_folder.h"

namespace stampede {
namespace {

using Clock = std::chrono::steady_clock;

void redirect(const std::string& path, int descriptor) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || ::dup2(file, descriptor) < 0) ::_exit(126);
  ::close(file);
}

// The child between fork and exec: only calls that are safe there.
[[noreturn]] void become_program(const std::vector<char*>& arguments, const ProgramOptions& options,
                                 const std::string& out, const std::string& err) {
  std::signal(SIGHUP, SIG_DFL);  // these tests may run under nohup
  redirect(out, STDOUT_FILENO);
  redirect(err, STDERR_FILENO);
  if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) ::_exit(126);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

ProgramResult run_built_program(const std::vector<std::string>& words, const ProgramOptions& options) {
  const TemporaryFolder folder;
  const std::string out = folder / "out", err = folder / "err";
  std::vector<std::string> copy{STAMPEDE_PROGRAM};
  copy.insert(copy.end(), words.begin(), words.end());
  std::vector<char*> arguments;
  for (std::string& word : copy) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) become_program(arguments, options, out, err);
  ProgramResult result;
  const auto deadline = Clock::now() + std::chrono::seconds(options.timeout_seconds);
  bool signalled = options.signal == 0;
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (!signalled && options.ready_for_signal()) {
      ::kill(child, options.signal);
      signalled = true;
    }
    if (Clock::now() > deadline) {
      result.timed_out = true;
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  result.exit_code = exit_code_of(status);
  result.out = read_file(out);
  result.err = read_file(err);
  return result;
}

std::vector<std::string> ProgramResult::messages() const {
  std::vector<std::string> lines;
  std::istringstream in(err);
  for (std::string line; std::getline(in, line);) {
    line.erase(0, line.rfind('\r') == std::string::npos ? 0 : line.rfind('\r') + 1);
    const bool progress = line.find(" steps") != std::string::npos && line.find("SPS") != std::string::npos;
    if (!line.empty() && !line.starts_with("memory budget on ") && !progress) lines.push_back(line);
  }
  return lines;
}

}  // namespace stampede
