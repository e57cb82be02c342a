// SPDX-License-Identifier: Apache-2.0
#include "train/a2c_trainer.h"
#include "train/a3c_trainer.h"
#include "train/algorithms.h"
#include "train/async_keys.h"
#include "train/async_q_trainer.h"
#include "train/dqn_keys.h"
#include "train/dqn_trainer.h"
#include "train/off_policy_trainer.h"
#include "train/policy_keys.h"
#include "train/ppo_trainer.h"
#include "train/pqn_trainer.h"
#include "train/reinforce_trainer.h"
#include "train/sac_discrete_trainer.h"
#include "train/sac_trainer.h"
#include "train/td3_trainer.h"
#include "train/td_trainer.h"
#include "train/trpo_trainer.h"

namespace stampede {
namespace {

// What several ids may share.
struct Program {
  std::string_view id;
  bool discrete_actions, continuous_actions;
  std::vector<ConfigKey> (*keys)();
  std::unique_ptr<Trainer> (*make)(const TrainerSetup& setup);
  std::int64_t (*batch_rows)(const Config& config);
};

constexpr Program kTabular{"tabular", true, false, tabular_keys, make_tabular_trainer, td_batch_rows};
constexpr Program kLinear{"linear", true, false, linear_keys, make_linear_trainer, td_batch_rows};
constexpr Program kDqn{"dqn", true, false, dqn_keys, make_dqn_trainer, dqn_batch_rows};
constexpr Program kPqn{"pqn", true, false, pqn_keys, make_pqn_trainer, pqn_batch_rows};
constexpr Program kAsyncQ{"async_q", true, false, async_q_keys, make_async_q_trainer, async_batch_rows};
constexpr Program kReinforce{"reinforce", true, true, reinforce_keys, make_reinforce_trainer, rollout_rows};
constexpr Program kA2c{"a2c", true, true, a2c_keys, make_a2c_trainer, rollout_rows};
constexpr Program kA3c{"a3c", true, true, a3c_keys, make_a3c_trainer, async_batch_rows};
constexpr Program kPpo{"ppo", true, true, ppo_keys, make_ppo_trainer, ppo_batch_rows};
constexpr Program kTrpo{"trpo", true, true, trpo_keys, make_trpo_trainer, trpo_batch_rows};
constexpr Program kDdpg{"td3", true, true, td3_keys, make_td3_trainer, off_policy_batch_rows};
constexpr Program kTd3{"td3", false, true, td3_keys, make_td3_trainer, off_policy_batch_rows};
constexpr Program kSac{"sac", false, true, sac_keys, make_sac_trainer, off_policy_batch_rows};
constexpr Program kSacDiscrete{"sac_discrete",       true, false, sac_discrete_keys, make_sac_discrete_trainer,
                               off_policy_batch_rows};

constexpr AlgorithmEntry entry(std::string_view id, const Program& program, std::string_view summary) {
  return {id,           program.id,   summary,           program.discrete_actions, program.continuous_actions,
          program.keys, program.make, program.batch_rows};
}

constexpr AlgorithmEntry kAlgorithms[] = {
    entry("q_learning", kTabular, "Q-learning with a table (Watkins 1989), Double Q (van Hasselt 2010)"),
    entry("sarsa", kTabular, "SARSA with a table (Rummery & Niranjan 1994)"),
    entry("expected_sarsa", kTabular, "Expected SARSA with a table (van Seijen et al. 2009)"),
    entry("soft_q_tabular", kTabular, "Soft Q-learning with a table (Haarnoja et al. 2017)"),
    entry("mc_control", kTabular, "Monte Carlo control with a table (Sutton & Barto 2018, section 5.4)"),
    entry("dyna_q", kTabular, "Dyna-Q: Q-learning that plans with a learnt model (Sutton 1990)"),
    entry("linear_q", kLinear, "Q-learning with linear features (Sutton & Barto 2018, chapter 9)"),
    entry("linear_sarsa", kLinear, "Semi-gradient SARSA with linear features (Sutton & Barto 2018, section 10.1)"),
    entry("linear_expected_sarsa", kLinear, "Expected SARSA with linear features (Sutton & Barto 2018, section 10.1)"),
    entry("dqn", kDqn, "Deep Q-learning (Mnih et al. 2015)"),
    entry("double_dqn", kDqn, "Double DQN (van Hasselt et al. 2016)"),
    entry("dueling_dqn", kDqn, "Dueling networks with Double DQN (Wang et al. 2016)"),
    entry("nstep_dqn", kDqn, "DQN with n-step returns (Sutton 1988; Hessel et al. 2018)"),
    entry("per_dqn", kDqn, "DQN with prioritised experience replay (Schaul et al. 2016)"),
    entry("noisy_dqn", kDqn, "DQN exploring with noisy layers (Fortunato et al. 2018)"),
    entry("c51", kDqn, "Categorical distributional DQN (Bellemare et al. 2017)"),
    entry("qr_dqn", kDqn, "Quantile regression DQN (Dabney et al. 2018)"),
    entry("rainbow", kDqn, "Rainbow: all options of DQN at once (Hessel et al. 2018)"),
    entry("soft_q", kDqn, "Soft Q-learning with discrete actions (Haarnoja et al. 2017)"),
    entry("pqn", kPqn, "Parallelised Q-learning without replay (Gallici et al. 2024)"),
    entry("deep_sarsa", kPqn, "SARSA with a network on parallel environments (Rummery & Niranjan 1994)"),
    entry("deep_expected_sarsa", kPqn,
          "Expected SARSA with a network on parallel environments (van Seijen et al. 2009)"),
    entry("batched_q", kPqn, "One-step Q-learning, its actor-learners as one batch (Mnih et al. 2016)"),
    entry("batched_sarsa", kPqn, "One-step SARSA, its actor-learners as one batch (Mnih et al. 2016)"),
    entry("batched_nstep_q", kPqn, "n-step Q-learning, its actor-learners as one batch (Mnih et al. 2016)"),
    entry("async_q", kAsyncQ, "Asynchronous one-step Q-learning on CPU threads (Mnih et al. 2016)"),
    entry("async_sarsa", kAsyncQ, "Asynchronous one-step SARSA on CPU threads (Mnih et al. 2016)"),
    entry("async_nstep_q", kAsyncQ, "Asynchronous n-step Q-learning on CPU threads (Mnih et al. 2016)"),
    entry("reinforce", kReinforce, "REINFORCE with a baseline (Williams 1992)"),
    entry("actor_critic", kA2c, "One-step actor-critic (Sutton and Barto 2018, section 13.5)"),
    entry("a2c", kA2c, "Advantage actor-critic (Mnih et al. 2016)"),
    entry("a3c", kA3c, "Asynchronous advantage actor-critic on CPU threads (Mnih et al. 2016)"),
    entry("soft_pg", kA2c, "Soft policy gradient: entropy inside the return (Haarnoja et al. 2017; Shi et al. 2019)"),
    entry("ppo", kPpo, "Proximal policy optimization (Schulman et al. 2017)"),
    entry("ppo_kl", kPpo, "PPO with an adaptive KL penalty (Schulman et al. 2017, section 4)"),
    entry("trpo", kTrpo, "Trust region policy optimization (Schulman et al. 2015)"),
    entry("ddpg", kDdpg, "Deep deterministic policy gradients (Lillicrap et al. 2016)"),
    entry("td3", kTd3, "Twin delayed deterministic policy gradients (Fujimoto et al. 2018)"),
    entry("sac", kSac, "Soft actor-critic, learned temperature (Haarnoja et al. 2018b)"),
    entry("sac_v", kSac, "Soft actor-critic with a value network (Haarnoja et al. 2018a)"),
    entry("sac_discrete", kSacDiscrete, "Soft actor-critic with discrete actions (Christodoulou 2019)"),
};

}  // namespace

std::span<const AlgorithmEntry> algorithms() { return kAlgorithms; }

}  // namespace stampede
