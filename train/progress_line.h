// SPDX-License-Identifier: Apache-2.0
// Shows the state of training: one line redrawn in place on a terminal, a plain line every few seconds elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

namespace stampede {

// Steps are those of the `total_steps` schedule; transitions are valid environment steps. What a resumed run did before
// does not count as `session_...`.
struct Progress {
  std::int64_t steps = 0;
  std::int64_t total_steps = 0;
  std::int64_t session_steps = 0;
  std::int64_t session_transitions = 0;
  double train_seconds = 0.0;                        // of this session, without evaluation and start-up
  std::optional<double> mean_return = std::nullopt;  // of the last 100 episodes, if any has ended
};

double steps_per_second(const Progress& progress);  // SPS: transitions per second of training, 0 before any

// " 32%  32,768/100,000 steps  1.21M SPS  return 123.4  ETA 0:12"
std::string format_progress(const Progress& progress);

class ProgressLine {
 public:
  // Writes to `stream` (stderr in the program); a terminal is recognised by itself.
  explicit ProgressLine(std::FILE* stream);
  ProgressLine(std::FILE* stream, bool terminal);

  // Shows the state if the last one is old enough: 0.1 s on a terminal, 5 s elsewhere.
  void update(const Progress& progress);
  // Shows the final state and ends the line.
  void finish(const Progress& progress);
  // Ends a half-drawn line, so that a message can be printed.
  void interrupt();

 private:
  using Clock = std::chrono::steady_clock;
  void show(const std::string& line);

  std::FILE* stream_;
  bool terminal_;
  bool open_ = false;
  std::size_t drawn_ = 0;  // characters of the line on the terminal
  Clock::time_point next_;
};

}  // namespace stampede
