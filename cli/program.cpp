// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <new>
#include <vector>

#include "cli/command.h"
#include "kernels/error.h"
#include "kernels/nearest_match.h"

namespace stampede {
namespace {

constexpr Command kCommands[] = {
    {"train", "train ALGORITHM ENVIRONMENT [key=value ...]: trains an agent", train_command},
    {"eval", "eval RUN|CHECKPOINT: plays episodes with a trained policy", eval_command},
    {"resume", "resume RUN [key=value ...]: continues a run", resume_command},
    {"plot", "plot RUN...: learning curves as an image", plot_command},
    {"list", "list [env [NAME] | algo | presets | keys ALGORITHM ENVIRONMENT [PRESET]]: what there is", list_command},
    {"trace", "trace ENVIRONMENT: steps one environment and prints CSV", trace_command},
    {"table", "table ENVIRONMENT: transition table of a tabular environment as CSV", table_command},
    {"solve", "solve ENVIRONMENT: exact values and policy of a tabular environment", solve_command},
};

// What the launcher does itself, because it needs the source tree.
constexpr std::string_view kLauncherCommands[] = {"bench", "test", "setup"};

void print_help() {
  std::printf("stampede: batched simulation and reinforcement learning on CPUs and GPUs\n\n");
  std::printf("usage: ./stampede COMMAND [arguments]\n\n");
  for (const Command& command : kCommands) std::printf("  %s\n", std::string(command.summary).c_str());
  std::printf(
      "  bench [REGEX] [--json]: benchmarks\n  test: the whole test suite\n  setup [torch [--cuda]]: installs what is "
      "missing\n\n");
  std::printf("Each command explains itself with --help. First steps: ./stampede train ppo CartPole-v1\n");
}

int dispatch(const EnvRegistry& environments, std::span<const std::string> words) {
  if (words.empty()) {
    print_help();
    return 2;
  }
  if (words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    print_help();
    return 0;
  }
  std::vector<std::string_view> known;
  for (const Command& command : kCommands) {
    if (words[0] == command.name) return command.run({environments}, words.subspan(1));
    known.push_back(command.name);
  }
  for (const std::string_view name : kLauncherCommands) {
    if (words[0] == name) {
      throw UsageError(words[0] + " is a command of the launcher: ./stampede " + words[0] + " in the source tree");
    }
    known.push_back(name);
  }
  throw UsageError(unknown_name_message("command", words[0], known));
}

// Without this a file that the program opens would take the place of a closed standard stream, and be written into.
void open_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) < 0 && errno == EBADF) ::open("/dev/null", O_RDWR);
  }
}

// Output is buffered, so that a full disk may show only here.
void finish_output() {
  errno = 0;
  const bool written = std::cout.flush().good() && std::fflush(stdout) == 0 && !std::ferror(stdout);
  if (written) return;
  throw RuntimeError("cannot write to standard output" + (errno ? std::string(": ") + std::strerror(errno) : ""));
}

// One line, whatever bytes a user's word or file has put into the message.
int report(std::string what, int code) {
  for (char& c : what) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  std::fflush(stdout);
  std::fprintf(stderr, "stampede: %s\n", what.c_str());
  return code;
}

}  // namespace

int run_program(const EnvRegistry& environments, std::span<const std::string> words) {
  open_standard_streams();
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on the size of files is an error of the write that meets it
  try {
    const int code = dispatch(environments, words);
    finish_output();
    return code;
  } catch (const UsageError& error) {
    return report(error.what(), 2);
  } catch (const std::bad_alloc&) {
    return report("not enough memory", 1);
  } catch (const std::exception& error) {
    return report(error.what(), 1);
  }
}

}  // namespace stampede
