// SPDX-License-Identifier: Apache-2.0
#include "train/algorithms.h"

#include <string>
#include <thread>

#include "kernels/error.h"
#include "kernels/nearest_match.h"
#include "train/a2c_trainer.h"
#include "train/a3c_trainer.h"
#include "train/async_keys.h"
#include "train/async_q_trainer.h"
#include "train/dqn_keys.h"
#include "train/dqn_trainer.h"
#include "train/off_policy_trainer.h"
#include "train/policy_keys.h"
#include "train/ppo_trainer.h"
#include "train/pqn_trainer.h"
#include "train/presets.h"
#include "train/reinforce_trainer.h"
#include "train/sac_discrete_trainer.h"
#include "train/sac_trainer.h"
#include "train/td3_trainer.h"
#include "train/td_trainer.h"
#include "train/trpo_trainer.h"

namespace stampede {
namespace {

constexpr AlgorithmEntry kAlgorithms[] = {
    {"a2c", "a2c", "Advantage actor-critic (Mnih et al. 2016)", true, true, a2c_keys, make_a2c_trainer, rollout_rows},
    {"actor_critic", "a2c", "One-step actor-critic (Sutton and Barto 2018, section 13.5)", true, true, a2c_keys,
     make_a2c_trainer, rollout_rows},
    {"a3c", "a3c", "Asynchronous advantage actor-critic on CPU threads (Mnih et al. 2016)", true, true, a3c_keys,
     make_a3c_trainer, async_batch_rows},
    {"async_q", "async_q", "Asynchronous one-step Q-learning on CPU threads (Mnih et al. 2016)", true, false,
     async_q_keys, make_async_q_trainer, async_batch_rows},
    {"async_sarsa", "async_q", "Asynchronous one-step Sarsa on CPU threads (Mnih et al. 2016)", true, false,
     async_q_keys, make_async_q_trainer, async_batch_rows},
    {"async_nstep_q", "async_q", "Asynchronous n-step Q-learning on CPU threads (Mnih et al. 2016)", true, false,
     async_q_keys, make_async_q_trainer, async_batch_rows},
    {"dqn", "dqn", "Deep Q-learning (Mnih et al. 2015)", true, false, dqn_keys, make_dqn_trainer, dqn_batch_rows},
    {"double_dqn", "dqn", "Double DQN (van Hasselt et al. 2016)", true, false, dqn_keys, make_dqn_trainer,
     dqn_batch_rows},
    {"dueling_dqn", "dqn", "Dueling networks with Double DQN (Wang et al. 2016)", true, false, dqn_keys,
     make_dqn_trainer, dqn_batch_rows},
    {"per_dqn", "dqn", "DQN with prioritised experience replay (Schaul et al. 2016)", true, false, dqn_keys,
     make_dqn_trainer, dqn_batch_rows},
    {"rainbow", "dqn", "Rainbow: all options of DQN at once (Hessel et al. 2018)", true, false, dqn_keys,
     make_dqn_trainer, dqn_batch_rows},
    {"nstep_dqn", "dqn", "DQN with n-step returns (Sutton 1988; Hessel et al. 2018)", true, false, dqn_keys,
     make_dqn_trainer, dqn_batch_rows},
    {"noisy_dqn", "dqn", "DQN exploring with noisy layers (Fortunato et al. 2018)", true, false, dqn_keys,
     make_dqn_trainer, dqn_batch_rows},
    {"c51", "dqn", "Categorical distributional DQN (Bellemare et al. 2017)", true, false, dqn_keys, make_dqn_trainer,
     dqn_batch_rows},
    {"qr_dqn", "dqn", "Quantile regression DQN (Dabney et al. 2018)", true, false, dqn_keys, make_dqn_trainer,
     dqn_batch_rows},
    {"soft_q", "dqn", "Soft Q-learning with discrete actions (Haarnoja et al. 2017)", true, false, dqn_keys,
     make_dqn_trainer, dqn_batch_rows},
    {"ddpg", "td3", "Deep deterministic policy gradients (Lillicrap et al. 2016)", true, true, td3_keys,
     make_td3_trainer, off_policy_batch_rows},
    {"td3", "td3", "Twin delayed deterministic policy gradients (Fujimoto et al. 2018)", false, true, td3_keys,
     make_td3_trainer, off_policy_batch_rows},
    {"sac", "sac", "Soft actor-critic, learned temperature (Haarnoja et al. 2018b)", false, true, sac_keys,
     make_sac_trainer, off_policy_batch_rows},
    {"sac_v", "sac", "Soft actor-critic with a value network (Haarnoja et al. 2018a)", false, true, sac_keys,
     make_sac_trainer, off_policy_batch_rows},
    {"sac_discrete", "sac_discrete", "Soft actor-critic with discrete actions (Christodoulou 2019)", true, false,
     sac_discrete_keys, make_sac_discrete_trainer, off_policy_batch_rows},
    {"ppo", "ppo", "Proximal policy optimization (Schulman et al. 2017)", true, true, ppo_keys, make_ppo_trainer,
     ppo_batch_rows},
    {"q_learning", "tabular", "Q-learning with a table (Watkins 1989), Double Q (van Hasselt 2010)", true, false,
     tabular_keys, make_tabular_trainer, td_batch_rows},
    {"sarsa", "tabular", "SARSA with a table (Rummery & Niranjan 1994)", true, false, tabular_keys,
     make_tabular_trainer, td_batch_rows},
    {"expected_sarsa", "tabular", "Expected SARSA with a table (van Seijen et al. 2009)", true, false, tabular_keys,
     make_tabular_trainer, td_batch_rows},
    {"soft_q_tabular", "tabular", "Soft Q-learning with a table (Haarnoja et al. 2017)", true, false, tabular_keys,
     make_tabular_trainer, td_batch_rows},
    {"mc_control", "tabular", "Monte Carlo control with a table (Sutton & Barto 2018, section 5.4)", true, false,
     tabular_keys, make_tabular_trainer, td_batch_rows},
    {"dyna_q", "tabular", "Dyna-Q: Q-learning that plans with a learnt model (Sutton 1990)", true, false, tabular_keys,
     make_tabular_trainer, td_batch_rows},
    {"linear_q", "linear", "Q-learning with linear features (Sutton & Barto 2018, chapter 9)", true, false, linear_keys,
     make_linear_trainer, td_batch_rows},
    {"linear_sarsa", "linear", "Semi-gradient SARSA with linear features (Sutton & Barto 2018, section 10.1)", true,
     false, linear_keys, make_linear_trainer, td_batch_rows},
    {"linear_expected_sarsa", "linear", "Expected SARSA with linear features (Sutton & Barto 2018, section 10.1)", true,
     false, linear_keys, make_linear_trainer, td_batch_rows},
    {"ppo_kl", "ppo", "PPO with an adaptive KL penalty (Schulman et al. 2017, section 4)", true, true, ppo_keys,
     make_ppo_trainer, ppo_batch_rows},
    {"reinforce", "reinforce", "REINFORCE with a baseline (Williams 1992)", true, true, reinforce_keys,
     make_reinforce_trainer, rollout_rows},
    {"soft_pg", "a2c", "Soft policy gradient: entropy inside the return (Haarnoja et al. 2017; Shi et al. 2019)", true,
     true, a2c_keys, make_a2c_trainer, rollout_rows},
    {"trpo", "trpo", "Trust region policy optimization (Schulman et al. 2015)", true, true, trpo_keys,
     make_trpo_trainer, trpo_batch_rows},
    {"pqn", "pqn", "Parallelised Q-learning without replay (Gallici et al. 2024)", true, false, pqn_keys,
     make_pqn_trainer, pqn_batch_rows},
    {"deep_sarsa", "pqn", "SARSA with a network on parallel environments (Rummery & Niranjan 1994)", true, false,
     pqn_keys, make_pqn_trainer, pqn_batch_rows},
    {"deep_expected_sarsa", "pqn", "Expected SARSA with a network on parallel environments (van Seijen et al. 2009)",
     true, false, pqn_keys, make_pqn_trainer, pqn_batch_rows},
    {"batched_q", "pqn", "One-step Q-learning, its actor-learners as one batch (Mnih et al. 2016)", true, false,
     pqn_keys, make_pqn_trainer, pqn_batch_rows},
    {"batched_sarsa", "pqn", "One-step SARSA, its actor-learners as one batch (Mnih et al. 2016)", true, false,
     pqn_keys, make_pqn_trainer, pqn_batch_rows},
    {"batched_nstep_q", "pqn", "n-step Q-learning, its actor-learners as one batch (Mnih et al. 2016)", true, false,
     pqn_keys, make_pqn_trainer, pqn_batch_rows},
};

std::span<const ConfigKey> common_keys() {
  using enum ConfigType;
  static constexpr ConfigKey kKeys[] = {
      {.name = "seed", .type = kInteger, .default_text = "1", .min = 0, .max = 9.2e18, .help = "of everything random"},
      {.name = "total_steps",
       .type = kInteger,
       .default_text = "100000",
       .min = 1,
       .max = 1e15,
       .help = "rows to collect, over all environments"},
      {.name = "schedule_steps",
       .type = kInteger,
       .default_text = "0",
       .min = 0,
       .max = 1e15,
       .help = "rows over which schedules run; 0 = total_steps"},
      {.name = "num_envs",
       .type = kInteger,
       .default_text = "8",
       .min = 1,
       .max = 1 << 24,
       .help = "environments stepped together (N)"},
      {.name = "threads",
       .type = kInteger,
       .default_text = "0",
       .min = 0,
       .max = 1024,
       .help = "CPU threads; 0 = as many cores as a batch keeps busy"},
      {.name = "device",
       .type = kChoice,
       .default_text = "cpu",
       .choices = "cpu|cuda|auto",
       .help = "where everything runs"},
      {.name = "network",
       .type = kChoice,
       .default_text = "native",
       .choices = "native|torch",
       .help = "which library computes the network"},
      {.name = "eval_every",
       .type = kInteger,
       .default_text = "0",
       .min = 0,
       .max = 1e15,
       .help = "rows between evaluations; 0 = total_steps / 20"},
      {.name = "eval_episodes",
       .type = kInteger,
       .default_text = "100",
       .min = 1,
       .max = 1 << 20,
       .help = "episodes of each evaluation"},
      {.name = "log_every",
       .type = kInteger,
       .default_text = "0",
       .min = 0,
       .max = 1e15,
       .help = "rows between metric rows; 0 = total_steps / 100"},
      {.name = "checkpoint_every",
       .type = kInteger,
       .default_text = "0",
       .min = 0,
       .max = 1e15,
       .help = "rows between checkpoints; 0 = total_steps / 5"},
      {.name = "replay_checkpoint_mib",
       .type = kInteger,
       .default_text = "1024",
       .min = 0,
       .max = 1 << 20,
       .help = "largest replay memory that checkpoints include"},
  };
  return kKeys;
}

void load_presets(Config& config, std::string_view algorithm, const std::string& env) {
  const std::string general(algorithm);
  for (const std::string& name : {general, general + "_" + env}) {
    for (const Preset& preset : builtin_presets()) {
      if (preset.name == name) config.load_toml(preset.toml, "preset " + name, ConfigLayer::kPreset);
    }
  }
}

}  // namespace

std::span<const AlgorithmEntry> algorithms() { return kAlgorithms; }

const AlgorithmEntry& find_algorithm(std::string_view id) {
  std::vector<std::string_view> known;
  for (const AlgorithmEntry& entry : kAlgorithms) {
    if (entry.id == id) return entry;
    known.push_back(entry.id);
  }
  throw UsageError(unknown_name_message("algorithm", id, known));
}

void check_spaces(const AlgorithmEntry& algorithm, const EnvSpec& spec) {
  const bool discrete = spec.action.is_discrete();
  if (discrete ? algorithm.discrete_actions : algorithm.continuous_actions) return;
  std::string fitting;
  for (const AlgorithmEntry& entry : kAlgorithms) {
    if (discrete ? !entry.discrete_actions : !entry.continuous_actions) continue;
    fitting += (fitting.empty() ? "" : ", ") + std::string(entry.id);
  }
  throw UsageError(std::string(algorithm.id) + " needs " + (discrete ? "continuous" : "discrete") + " actions, but " +
                   spec.id + " has " + (discrete ? "discrete" : "continuous") +
                   " ones; fitting algorithms: " + fitting);
}

Config make_config(const AlgorithmEntry& algorithm, const EnvEntry& env) {
  Config config;
  config.declare(common_keys());
  config.declare(algorithm.keys());
  for (const ParamInfo& param : env.params) {
    // The registry checks values: only it knows lists, maps and choices.
    const ConfigKey key{
        .name = param.name, .type = ConfigType::kText, .default_text = param.default_text, .help = param.help};
    config.declare(std::span(&key, 1), "env.");
  }
  load_presets(config, algorithm.program, env.spec.id);
  if (algorithm.id != algorithm.program) load_presets(config, algorithm.id, env.spec.id);
  return config;
}

EnvParameters env_parameters(const Config& config, const EnvEntry& env) {
  EnvParameters parameters;
  for (const ParamInfo& param : env.params) {
    const std::string name = "env." + param.name;
    if (config.source(name) != ConfigLayer::kDefault) parameters.emplace_back(param.name, config.text(name));
  }
  return parameters;
}

}  // namespace stampede
