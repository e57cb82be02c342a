// SPDX-License-Identifier: Apache-2.0
#include "cli/gnuplot.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "kernels/error.h"
#include "train/parse_value.h"
#include "train/text_file.h"

namespace stampede {
namespace {

std::string shell_quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

// Removes its files at the end, whatever happened.
class ScratchFiles {
 public:
  explicit ScratchFiles(const std::string& path) : picture(path + ".partial"), messages(path + ".messages") {}
  ~ScratchFiles() {
    std::error_code ignored;
    std::filesystem::remove(picture, ignored);
    std::filesystem::remove(messages, ignored);
  }
  ScratchFiles(const ScratchFiles&) = delete;
  ScratchFiles& operator=(const ScratchFiles&) = delete;

  const std::string picture;
  const std::string messages;
};

// gnuplot may end before it has read the whole script: that must be an error here, not a deadly signal.
class IgnoredPipeSignal {
 public:
  IgnoredPipeSignal() : old_(std::signal(SIGPIPE, SIG_IGN)) {}
  ~IgnoredPipeSignal() { std::signal(SIGPIPE, old_); }
  IgnoredPipeSignal(const IgnoredPipeSignal&) = delete;
  IgnoredPipeSignal& operator=(const IgnoredPipeSignal&) = delete;

 private:
  void (*old_)(int);
};

std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  const std::size_t end = text.rfind('\n');
  return end == std::string::npos ? text : text.substr(end + 1);
}

}  // namespace

std::string find_gnuplot() {
  const char* path = std::getenv("PATH");
  std::string_view folders = path ? path : "";
  while (!folders.empty()) {
    const std::size_t colon = folders.find(':');
    const std::string program = std::string(folders.substr(0, colon)) + "/gnuplot";
    if (::access(program.c_str(), X_OK) == 0) return program;
    if (colon == std::string_view::npos) break;
    folders.remove_prefix(colon + 1);
  }
  throw RuntimeError("plot needs gnuplot, which is not installed; on Debian: apt-get install gnuplot-nox");
}

void run_gnuplot(const std::string& program, std::string_view script, const std::string& path) {
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    throw RuntimeError("cannot write '" + path + "': " + std::strerror(errno));
  }
  const ScratchFiles scratch(path);
  const IgnoredPipeSignal guard;
  const std::string command = shell_quoted(program) + " - > " + shell_quoted(scratch.messages) + " 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "w");
  if (!pipe) throw RuntimeError("cannot start gnuplot: " + std::string(std::strerror(errno)));
  std::fprintf(pipe, "picture = %s\n", gnuplot_string(scratch.picture).c_str());
  std::fwrite(script.data(), 1, script.size(), pipe);
  const int status = ::pclose(pipe);
  std::error_code error;
  const bool drawn = std::filesystem::file_size(scratch.picture, error) > 0 && !error;
  if (status != 0 || !drawn) {
    const bool told = std::filesystem::file_size(scratch.messages, error) > 0 && !error;
    throw RuntimeError("gnuplot could not draw '" + path + "': " +
                       (told ? last_line(read_text_file(scratch.messages)) : "no room for it, or no right to write"));
  }
  std::filesystem::rename(scratch.picture, path, error);
  if (error) throw RuntimeError("cannot write '" + path + "': " + error.message());
}

std::string plot_number(double value) { return format_significant(value, 7); }

std::string gnuplot_string(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') quoted += '\'';
    quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return quoted + "'";
}

}  // namespace stampede
