// SPDX-License-Identifier: Apache-2.0
// What every registered environment must keep to; a new one is tested by being registered.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "tests/conformance/env_run.h"

namespace stampede {
namespace {

class Conformance : public testing::TestWithParam<std::string> {
 protected:
  static EnvRun played(const EnvRunOptions& options) {
    EnvRun run(GetParam(), options);
    run.play();
    return run;
  }
  // Whether an environment says so itself: all lanes start alike, and every row of its table has one outcome.
  static bool is_deterministic() {
    const EnvRegistry registry = builtin_environments();
    const EnvEntry& entry = registry.find(GetParam());
    if (!entry.transitions) return false;
    for (int s = 0; s < entry.spec.observation.count; ++s) {
      for (int a = 0; a < entry.spec.action.count; ++a) {
        if (entry.transitions({}, s, a).size() > 1) return false;
      }
    }
    EnvRun run(GetParam(), {.size = 257});
    run.reset();
    for (int i = 1; i < 257; ++i) {
      if (run.obs(0, i)[0] != run.obs(0, 0)[0]) return false;
    }
    return true;
  }
};

TEST_P(Conformance, ObservationsRewardsAndFlagsStayInBounds) {
  EnvRun run = played({.size = 33, .rows = 600});
  const Space& space = run.spec().observation;
  for (int row = 0; row <= 600; ++row) {
    for (int i = 0; i < 33; ++i) {
      for (int k = 0; k < run.env().obs_size(); ++k) {
        const std::uint32_t word = run.obs(row, i)[k];
        if (space.is_discrete()) {
          ASSERT_LT(word, static_cast<std::uint32_t>(space.count));
        } else {
          ASSERT_GE(bits_float(word), space.low[k]) << "row " << row << " component " << k;
          ASSERT_LE(bits_float(word), space.high[k]) << "row " << row << " component " << k;
        }
      }
      if (row == 600) continue;
      ASSERT_TRUE(std::isfinite(run.reward(row, i)));
      ASSERT_EQ(run.flags(row, i) & ~(kEpisodeEnd | kValid), 0u);
    }
  }
}

TEST_P(Conformance, SameSeedSameBits) {
  for (const int size : {1, 31, 33, 257}) {
    EnvRun a = played({.size = size, .rows = 70});
    EnvRun b = played({.size = size, .rows = 70});
    ASSERT_EQ(a.records(), b.records());
    ASSERT_EQ(a.observations(), b.observations());
  }
}

TEST_P(Conformance, DifferentSeedsDiffer) {
  EnvRun a = played({.rows = 70, .seed = 1});
  EnvRun b = played({.rows = 70, .seed = 2});
  EXPECT_EQ(a.observations() == b.observations(), is_deterministic());
}

TEST_P(Conformance, ThreadCountChangesNothing) {
  EnvRun one = played({.size = 2257, .rows = 40});
  for (const int threads : {2, 3}) {
    EnvRun many = played({.size = 2257, .rows = 40, .threads = threads});
    ASSERT_EQ(one.records(), many.records()) << threads;
    ASSERT_EQ(one.observations(), many.observations()) << threads;
  }
}

TEST_P(Conformance, BatchSizeChangesNothing) {
  EnvRun whole = played({.size = 257, .rows = 60});
  for (const int size : {1, 31, 33}) {
    for (const int first : {0, 31, 200}) {
      EnvRun part = played({.size = size, .rows = 60, .first = static_cast<std::uint32_t>(first)});
      for (int row = 0; row < 60; ++row) {
        for (int i = 0; i < size; ++i) {
          for (int w = 0; w < part.words(); ++w) ASSERT_EQ(part.record(row, i)[w], whole.record(row, first + i)[w]);
          for (int k = 0; k < part.env().obs_size(); ++k) {
            ASSERT_EQ(part.obs(row + 1, i)[k], whole.obs(row + 1, first + i)[k]) << "row " << row << " lane " << i;
          }
        }
      }
    }
  }
}

TEST_P(Conformance, SteppingInRangesChangesNothing) {
  EnvRun whole = played({.size = 257, .rows = 60});
  EnvRun parts(GetParam(), {.size = 257, .rows = 60});
  parts.reset();
  for (int row = 0; row < 60; ++row) {
    parts.step_range(row, 128, 257);
    parts.step_range(row, 0, 64);
    parts.step_range(row, 64, 128);
  }
  EXPECT_EQ(whole.records(), parts.records());
  EXPECT_EQ(whole.observations(), parts.observations());
}

TEST_P(Conformance, TruncatesExactlyAtTheLimit) {
  EnvRun run(GetParam(), {.size = 31, .rows = 2});
  run.reset();
  if (run.spec().time_limit == kNoTimeLimit) {
    EnvRun free = played({.size = 1, .rows = 3000});
    for (int row = 0; row < 3000; ++row) ASSERT_EQ(free.flags(row, 0) & kTruncated, 0u);
    return;
  }
  std::vector<std::uint32_t> obs(static_cast<std::size_t>(run.env().obs_size()));
  for (int i = 0; i < 31; ++i) {
    run.env().set_state(run.stream(), i, run.env().state(run.stream(), i), run.spec().time_limit - 2, obs.data());
  }
  run.step(0);
  run.step(1);
  for (int i = 0; i < 31; ++i) {
    ASSERT_EQ(run.flags(0, i) & kTruncated, 0u) << i;
    if (run.flags(0, i) & kTerminated) continue;
    ASSERT_EQ(run.flags(1, i) & kTruncated, kTruncated) << i;
    ASSERT_EQ(run.env().elapsed(run.stream(), i), run.spec().time_limit);
  }
}

TEST_P(Conformance, RowAfterAnEndOnlyResets) {
  EnvRun run(GetParam(), {.size = 33, .rows = 3});
  EnvRun other(GetParam(), {.size = 33, .rows = 3});
  for (EnvRun* r : {&run, &other}) {
    r->reset();
    r->approach_end();
    r->step(0);
  }
  const auto ended = [&](int i) { return (run.flags(0, i) & kEpisodeEnd) != 0; };
  for (int i = 0; i < 33; ++i) {
    if (ended(i)) other.set_random_action(1, i, 12345);  // ignored
  }
  run.step(1);
  other.step(1);
  int ends = 0;
  for (int i = 0; i < 33; ++i) {
    if (!ended(i)) continue;
    ++ends;
    ASSERT_EQ(run.flags(0, i) & kValid, kValid);
    ASSERT_EQ(run.flags(1, i), 0u);
    ASSERT_EQ(run.reward(1, i), 0.0f);
    ASSERT_EQ(run.env().elapsed(run.stream(), i), 0);
  }
  EXPECT_GT(ends, 0);
  run.step(2);
  other.step(2);
  for (int i = 0; i < 33; ++i) {
    if (ended(i)) {
      ASSERT_EQ(run.flags(2, i) & kValid, kValid);
    }
    ASSERT_EQ(run.flags(2, i), other.flags(2, i));
    ASSERT_EQ(run.reward(2, i), other.reward(2, i));
  }
  EXPECT_EQ(run.observations(), other.observations());
}

TEST_P(Conformance, InjectedStateContinuesBitForBit) {
  EnvRun original = played({.size = 33, .rows = 20});
  EnvRun copy(GetParam(), {.size = 33, .rows = 20});
  copy.reset();
  for (int row = 0; row < 10; ++row) copy.step(row);
  EnvRun injected(GetParam(), {.size = 33, .rows = 20});
  injected.reset();
  int compared = 0;
  for (int i = 0; i < 33; ++i) {
    const auto state = copy.env().state(copy.stream(), i);
    injected.env().set_state(injected.stream(), i, state, copy.env().elapsed(copy.stream(), i), injected.obs(10, i));
    for (int k = 0; k < copy.env().obs_size(); ++k) ASSERT_EQ(injected.obs(10, i)[k], copy.obs(10, i)[k]);
    ASSERT_EQ(injected.env().state(injected.stream(), i), state);
  }
  injected.step(10);
  for (int i = 0; i < 33; ++i) {
    if (original.flags(9, i) & kEpisodeEnd) continue;
    ++compared;
    for (int w = 0; w < original.words(); ++w) ASSERT_EQ(injected.record(10, i)[w], original.record(10, i)[w]);
    for (int k = 0; k < original.env().obs_size(); ++k) ASSERT_EQ(injected.obs(11, i)[k], original.obs(11, i)[k]);
  }
  EXPECT_GT(compared, 10);
}

// The log then knows nothing of the steps before.
TEST_P(Conformance, AnInjectedStateBeginsAReturnOfItsOwn) {
  EnvRun run(GetParam(), {.size = 33, .rows = 6});
  run.reset();
  for (int row = 0; row < 4; ++row) run.step(row);
  run.approach_end();
  for (int i = 0; i < 33; ++i) std::copy_n(run.record(0, i), run.words(), run.record(4, i));  // the action that ends it
  run.step(4);
  run.env().episodes().drain(run.stream(), nullptr);
  run.step(5);
  const std::vector<Episode> episodes = run.env().episodes().drain(run.stream(), nullptr);
  EXPECT_FALSE(episodes.empty());
  for (const Episode& episode : episodes) {
    EXPECT_EQ(episode.row, 4u);
    EXPECT_EQ(episode.episode_return, run.reward(4, episode.environment));
  }
}

TEST_P(Conformance, RefusesStatesThatDoNotFit) {
  EnvRun run(GetParam(), {.size = 1, .rows = 1});
  run.reset();
  std::vector<std::uint32_t> obs(static_cast<std::size_t>(run.env().obs_size()));
  const auto state = run.env().state(run.stream(), 0);
  const auto set = [&](const std::vector<double>& values, int elapsed) {
    run.env().set_state(run.stream(), 0, values, elapsed, obs.data());
  };
  auto longer = state;
  longer.push_back(0);
  auto broken = state;
  broken[0] = NAN;
  EXPECT_NO_THROW(set(state, 0));
  EXPECT_THROW(set(longer, 0), UsageError);
  EXPECT_THROW(set({}, 0), UsageError);
  EXPECT_THROW(set(broken, 0), UsageError);
  EXPECT_THROW(set(state, -1), UsageError);
  const EnvRegistry registry = builtin_environments();
  const std::vector<StateInfo>& fields = registry.find(GetParam()).state;
  for (std::size_t k = 0; k < fields.size(); ++k) {
    if (!fields[k].integer) continue;
    auto between = state;
    between[k] += 0.5;
    EXPECT_THROW(set(between, 0), UsageError) << fields[k].name;
  }
  if (run.spec().time_limit == kNoTimeLimit) return;
  EXPECT_THROW(set(state, run.spec().time_limit), UsageError);
}

TEST_P(Conformance, EveryParameterIsSettableAndChecked) {
  const EnvRegistry registry = builtin_environments();
  const EnvEntry& entry = registry.find(GetParam());
  EXPECT_FALSE(entry.params.empty());
  EXPECT_THROW(entry.resolve({{"no_such_parameter", "1"}}), UsageError);
  EnvParameters smallest, largest;
  for (const ParamInfo& info : entry.params) {
    EXPECT_NO_THROW(entry.resolve({{info.name, info.default_text}})) << info.name;  // as a run writes it down
    for (const char* bad : {"", "?", "nan", "1,2,3,4"}) {
      if (bad == info.default_text) continue;
      EXPECT_THROW(entry.resolve({{info.name, bad}}), UsageError) << info.name << "=" << bad;
    }
    if (info.kind != ParamInfo::Kind::kReal && info.kind != ParamInfo::Kind::kInteger) continue;
    smallest.emplace_back(info.name, std::to_string(info.min));
    largest.emplace_back(info.name, std::to_string(info.max));
    EXPECT_THROW(entry.resolve({{info.name, std::to_string(info.max + 1)}}), UsageError) << info.name;
    EXPECT_THROW(entry.resolve({{info.name, std::to_string(info.min - 1)}}), UsageError) << info.name;
  }
  EXPECT_NO_THROW(entry.resolve(smallest));
  EXPECT_NO_THROW(entry.resolve(largest));
}

TEST_P(Conformance, EpisodeLogMatchesTheRows) {
  EnvRun run = played({.size = 3, .rows = 700});
  std::int64_t finished = 0;
  const std::vector<Episode> episodes = run.env().episodes().drain(run.stream(), &finished);
  std::vector<Episode> expected;
  float returns[3] = {};
  int lengths[3] = {};
  for (int row = 0; row < 699; ++row) {  // an episode is logged in the row after its last
    for (int i = 0; i < 3; ++i) {
      if (!(run.flags(row, i) & kValid)) continue;
      returns[i] += run.reward(row, i);
      ++lengths[i];
      if (!(run.flags(row, i) & kEpisodeEnd)) continue;
      expected.push_back({static_cast<std::uint64_t>(row), i, lengths[i], returns[i]});
      returns[i] = 0.0f;
      lengths[i] = 0;
    }
  }
  EXPECT_EQ(finished, static_cast<std::int64_t>(expected.size()));
  if (expected.size() > kEpisodesKept) expected.erase(expected.begin(), expected.end() - kEpisodesKept);
  ASSERT_EQ(episodes.size(), expected.size());
  for (std::size_t k = 0; k < expected.size(); ++k) {
    EXPECT_EQ(episodes[k].row, expected[k].row);
    EXPECT_EQ(episodes[k].environment, expected[k].environment);
    EXPECT_EQ(episodes[k].length, expected[k].length);
    EXPECT_EQ(episodes[k].episode_return, expected[k].episode_return);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Conformance, testing::ValuesIn(environment_ids()),
                         [](const auto& test) { return alphanumeric(test.param); });

}  // namespace
}  // namespace stampede
