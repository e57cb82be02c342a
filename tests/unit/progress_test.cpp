// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "train/progress_line.h"
#include "train/signal_guard.h"

namespace stampede {
namespace {

class CapturedStream {
 public:
  CapturedStream() : stream_(::open_memstream(&text_, &size_)) {}
  ~CapturedStream() {
    std::fclose(stream_);
    std::free(text_);
  }
  CapturedStream(const CapturedStream&) = delete;
  CapturedStream& operator=(const CapturedStream&) = delete;
  std::FILE* stream() { return stream_; }
  std::string text() {
    std::fflush(stream_);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* stream_;
};

constexpr Progress kMiddle{.steps = 32768,
                           .total_steps = 100000,
                           .session_steps = 16384,
                           .session_transitions = 16000,
                           .train_seconds = 2.0,
                           .mean_return = 123.44};

TEST(Progress, ShowsRatesOfThisSession) {
  EXPECT_DOUBLE_EQ(steps_per_second(kMiddle), 8000.0);
  EXPECT_EQ(format_progress(kMiddle), " 32%  32,768/100,000 steps  8.00k SPS  return 123.4  ETA 0:09");
}

TEST(Progress, HandlesTheEnds) {
  EXPECT_EQ(format_progress({.total_steps = 1000}), "  0%  0/1,000 steps  0 SPS  return -  ETA -");
  EXPECT_EQ(format_progress({.steps = 1001,
                             .total_steps = 1000,
                             .session_steps = 1001,
                             .session_transitions = 999'999,
                             .train_seconds = 1.0,
                             .mean_return = -0.5}),
            "100%  1,001/1,000 steps  1.00M SPS  return -0.5  ETA 0:00");
  EXPECT_NE(format_progress({.total_steps = 7384, .session_steps = 1, .train_seconds = 1.0}).find("ETA 2:03:04"),
            std::string::npos);
}

TEST(Progress, ATerminalLineIsRedrawnInPlace) {
  CapturedStream out;
  ProgressLine line(out.stream(), /*terminal=*/true);
  line.update(kMiddle);  // too soon after the start
  EXPECT_EQ(out.text(), "");
  line.finish(kMiddle);
  EXPECT_EQ(out.text(), "\r" + format_progress(kMiddle) + "\n");
  line.interrupt();
  EXPECT_EQ(out.text(), "\r" + format_progress(kMiddle) + "\n");
}

TEST(Progress, ElsewhereLinesArePlain) {
  CapturedStream out;
  ProgressLine line(out.stream());
  line.finish(kMiddle);
  EXPECT_EQ(out.text(), format_progress(kMiddle) + "\n");
}

TEST(SignalGuard, TheFirstSignalSetsTheFlagAndTheNextIsDeadly) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    std::signal(number, SIG_DFL);  // these tests may run under nohup
    const SignalGuard guard;
    EXPECT_FALSE(guard.requested());
    std::raise(number);
    EXPECT_TRUE(guard.requested());
    EXPECT_EQ(guard.signal(), number);
    for (const int next : {SIGINT, SIGTERM}) {
      struct sigaction action {};
      ::sigaction(next, nullptr, &action);
      EXPECT_EQ(action.sa_handler, SIG_DFL);
    }
  }
}

TEST(SignalGuard, RestoresTheEarlierHandlers) {
  std::signal(SIGTERM, SIG_IGN);
  {
    const SignalGuard guard;
    std::raise(SIGTERM);
    EXPECT_TRUE(guard.requested());
  }
  EXPECT_EQ(std::signal(SIGTERM, SIG_DFL), SIG_IGN);
}

// As nohup asks for.
TEST(SignalGuard, AnIgnoredHangUpStaysIgnored) {
  std::signal(SIGHUP, SIG_IGN);
  {
    const SignalGuard guard;
    std::raise(SIGHUP);
    EXPECT_FALSE(guard.requested());
  }
  EXPECT_EQ(std::signal(SIGHUP, SIG_DFL), SIG_IGN);
}

TEST(SignalGuard, ASecondSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        const SignalGuard guard;
        std::raise(SIGINT);
        std::raise(SIGTERM);
      },
      testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace stampede
