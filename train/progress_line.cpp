// SPDX-License-Identifier: Apache-2.0
#include "train/progress_line.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace stampede {
namespace {

std::string grouped(std::int64_t value) {
  std::string digits = std::to_string(value);
  for (std::size_t place = digits.size(); place > 3 && digits[place - 4] != '-'; place -= 3)
    digits.insert(place - 3, ",");
  return digits;
}

std::string short_count(double value) {
  constexpr std::array<const char*, 4> kUnits = {"", "k", "M", "G"};
  std::size_t unit = 0;
  // 999.5 would be printed as 1000.
  for (; value >= 999.5 && unit + 1 < kUnits.size(); ++unit) value /= 1000.0;
  const int decimals = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  std::array<char, 32> buffer;
  std::snprintf(buffer.data(), buffer.size(), "%.*f%s", decimals, value, kUnits[unit]);
  return buffer.data();
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<long long>(std::ceil(seconds));
  std::array<char, 40> buffer;
  if (whole < 3600) {
    std::snprintf(buffer.data(), buffer.size(), "%lld:%02lld", whole / 60, whole % 60);
  } else {
    std::snprintf(buffer.data(), buffer.size(), "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  }
  return buffer.data();
}

std::string remaining_text(const Progress& progress) {
  if (progress.session_steps <= 0 || progress.train_seconds <= 0.0) return "-";
  const double seconds_per_step = progress.train_seconds / static_cast<double>(progress.session_steps);
  return clock_text(seconds_per_step *
                    static_cast<double>(std::max<std::int64_t>(0, progress.total_steps - progress.steps)));
}

}  // namespace

double steps_per_second(const Progress& progress) {
  return progress.train_seconds > 0.0 ? static_cast<double>(progress.session_transitions) / progress.train_seconds
                                      : 0.0;
}

std::string format_progress(const Progress& progress) {
  const double total = static_cast<double>(std::max<std::int64_t>(1, progress.total_steps));
  const int percent = static_cast<int>(std::min(100.0, 100.0 * static_cast<double>(progress.steps) / total));
  std::array<char, 32> mean{"-"};
  if (progress.mean_return) std::snprintf(mean.data(), mean.size(), "%.4g", *progress.mean_return);
  std::array<char, 8> percentage;
  std::snprintf(percentage.data(), percentage.size(), "%3d%%", percent);
  return std::string(percentage.data()) + "  " + grouped(progress.steps) + "/" + grouped(progress.total_steps) +
         " steps  " + short_count(steps_per_second(progress)) + " SPS  return " + mean.data() + "  ETA " +
         remaining_text(progress);
}

ProgressLine::ProgressLine(std::FILE* stream) : ProgressLine(stream, ::isatty(::fileno(stream)) == 1) {}

ProgressLine::ProgressLine(std::FILE* stream, bool terminal)
    : stream_(stream), terminal_(terminal), next_(Clock::now() + std::chrono::milliseconds(terminal ? 100 : 5000)) {}

void ProgressLine::update(const Progress& progress) {
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds(terminal_ ? 100 : 5000);
  show(format_progress(progress));
}

void ProgressLine::finish(const Progress& progress) {
  show(format_progress(progress));
  interrupt();
}

void ProgressLine::interrupt() {
  if (open_) std::fputc('\n', stream_);
  open_ = false;
  drawn_ = 0;
  std::fflush(stream_);
}

void ProgressLine::show(const std::string& line) {
  if (!terminal_) {
    std::fprintf(stream_, "%s\n", line.c_str());
  } else {
    const std::size_t blanks = drawn_ > line.size() ? drawn_ - line.size() : 0;
    std::fprintf(stream_, "\r%s%s", line.c_str(), std::string(blanks, ' ').c_str());
    open_ = true;
    drawn_ = line.size();
  }
  std::fflush(stream_);
}

}  // namespace stampede
