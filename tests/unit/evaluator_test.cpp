// SPDX-License-Identifier: Apache-2.0
// Evaluation: one whole episode per environment, on its own random stream, whatever the threads.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <mutex>
#include <vector>

#include "tests/unit/toy_environments.h"
#include "tests/unit/training_run.h"
#include "train/evaluator.h"
#include "train/session.h"

namespace stampede {
namespace {

class Evaluation {
 public:
  Evaluation(const std::string& env, int episodes, const EnvParameters& parameters = {})
      : registry_(registry_with_toys()), arena_(Device{}) {
    Evaluator(registry_.find(env), parameters, episodes, arena_);
    arena_.allocate("test");
    evaluator_ = std::make_unique<Evaluator>(registry_.find(env), parameters, episodes, arena_);
  }

  EvaluationResult run(const EvaluationPolicy& policy, std::uint64_t seed = 1, int threads = 1) {
    return evaluator_->run(Stream::cpu(threads), seed, policy);
  }

 private:
  EnvRegistry registry_;
  Arena arena_;
  std::unique_ptr<Evaluator> evaluator_;
};

EvaluationPolicy always(std::uint32_t action) {
  return [action](const Stream&, const EvaluationActs& acts) {
    for (int i = acts.begin; i < acts.end; ++i) acts.records[4 * i] = action;
  };
}

TEST(Evaluator, EveryEnvironmentPlaysExactlyOneEpisode) {
  for (const int episodes : {1, 31, 33, 257}) {
    for (const int threads : {1, 2}) {
      std::mutex mutex;
      double returns = 0.0, squares = 0.0, lengths = 0.0;
      const auto policy = [&](const Stream& stream, const EvaluationActs& acts) {
        always(0)(stream, acts);
        if (acts.row > 0) return;
        const std::lock_guard lock(mutex);
        for (int i = acts.begin; i < acts.end; ++i) {
          const double length = EpisodeClock::length(static_cast<int>(static_cast<const float*>(acts.obs)[2 * i]));
          const double episode_return = length * (length + 1) / 2;
          lengths += length;
          returns += episode_return;
          squares += episode_return * episode_return;
        }
      };
      const EvaluationResult result = Evaluation("EpisodeClock-v0", episodes).run(policy, 5, threads);
      EXPECT_EQ(result.episodes, episodes);
      EXPECT_NEAR(result.return_mean, returns / episodes, 1e-9);
      EXPECT_NEAR(result.length_mean, lengths / episodes, 1e-9);
      const double variance = squares / episodes - std::pow(returns / episodes, 2);
      EXPECT_NEAR(result.return_std, std::sqrt(std::max(0.0, variance)), 1e-6);
    }
  }
}

TEST(Evaluator, SeedsDrawOtherEpisodesAndRepeatTheirOwn) {
  Evaluation evaluation("EpisodeClock-v0", 33);
  const double first = evaluation.run(always(0), 1).return_mean;
  EXPECT_NE(evaluation.run(always(0), 2).return_mean, first);
  EXPECT_EQ(evaluation.run(always(0), 1).return_mean, first);
}

TEST(Evaluator, ResultDoesNotDependOnThreads) {
  Evaluation evaluation("CartPole-v1", 257);
  const EvaluationPolicy lean = [](const Stream&, const EvaluationActs& acts) {
    const auto* obs = static_cast<const float*>(acts.obs);
    for (int i = acts.begin; i < acts.end; ++i) acts.records[4 * i] = obs[4 * i + 2] > 0.0f;
  };
  const EvaluationResult one = evaluation.run(lean, 3, 1);
  EXPECT_GT(one.return_mean, 25.0);
  EXPECT_GT(one.return_std, 0.0);
  for (const int threads : {2, 3}) {
    const EvaluationResult other = evaluation.run(lean, 3, threads);
    EXPECT_EQ(other.return_mean, one.return_mean);
    EXPECT_EQ(other.return_std, one.return_std);
    EXPECT_EQ(other.length_mean, one.length_mean);
  }
}

TEST(Evaluator, CapsEpisodesWithoutATimeLimit) {
  const EvaluationResult lost = Evaluation("CliffWalking-v1", 3).run(always(0));
  EXPECT_EQ(lost.episodes, 3);
  EXPECT_EQ(lost.length_mean, kEvaluationStepCap);
  EXPECT_EQ(lost.return_mean, -kEvaluationStepCap);
}

TEST(Evaluator, CliffWalkingsShortestPathReturnsMinusThirteen) {
  const EvaluationPolicy shortest = [](const Stream&, const EvaluationActs& acts) {
    for (int i = acts.begin; i < acts.end; ++i) {
      const std::int32_t s = static_cast<const std::int32_t*>(acts.obs)[i];
      acts.records[4 * i] = s == 36 ? 0 : s % 12 == 11 ? 2 : 1;
    }
  };
  const EvaluationResult result = Evaluation("CliffWalking-v1", 33).run(shortest);
  EXPECT_EQ(result.return_mean, -13.0);
  EXPECT_EQ(result.return_std, 0.0);
  EXPECT_EQ(result.length_mean, 13.0);
}

// Evaluating changes nothing that training reads.
TEST(Evaluator, LeavesTrainingAlone) {
  for (const char* algorithm : {"ppo", "dqn"}) {
    const Keys keys{{"num_envs", "3"}, {"hidden", "16"}};
    TrainingRun with(algorithm, "CartPole-v1", keys), without(algorithm, "CartPole-v1", keys);
    for (int k = 0; k < 3; ++k) {
      with.iterate(1);
      without.iterate(1);
      with.trainer().evaluate(evaluation_seed(1, k), EvaluationMode::kGreedy);
      with.trainer().evaluate(evaluation_seed(1, k), EvaluationMode::kStochastic);
    }
    EXPECT_EQ(differing_entries(with.state(), without.state()), std::vector<std::string>{}) << algorithm;
  }
}

TEST(Evaluator, SeedsOfEvaluationsAreAllDifferent) {
  EXPECT_NE(evaluation_seed(1, 0), evaluation_seed(1, 1));
  EXPECT_NE(evaluation_seed(1, 0), evaluation_seed(2, 0));
  EXPECT_EQ(evaluation_seed(1, 3), evaluation_seed(1, 3));
  EXPECT_NE(evaluation_seed(1, 0), 1u);
}

// A constant schedule never comes to epsilon_end: the exploring policy is the one that explores.
TEST(Evaluator, ConstantExplorationIsEvaluatedAsItIs) {
  const Keys keys{
      {"epsilon_schedule", "constant"}, {"epsilon_start", "1"}, {"epsilon_end", "0"}, {"eval_episodes", "200"}};
  TrainingRun table("q_learning", "FrozenLake-v1", keys);
  EXPECT_NEAR(table.trainer().evaluate(1, EvaluationMode::kStochastic).return_mean, 0.014, 0.001) << "random walk";
  TrainingRun network("pqn", "CartPole-v1", keys);
  EXPECT_NEAR(network.trainer().evaluate(1, EvaluationMode::kStochastic).return_mean, 22.2, 5.0) << "random pushes";
}

}  // namespace
}  // namespace stampede
