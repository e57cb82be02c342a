// SPDX-License-Identifier: Apache-2.0
#include "train/ppo_trainer.h"

#include "agents/ppo.h"
#include "kernels/readback.h"
#include "train/policy_keys.h"
#include "train/rollout_trainer.h"
#include "train/state_noise_keys.h"

namespace stampede {
namespace {

PpoConfig ppo_config(const Config& config) {
  PpoConfig ppo;
  ppo.actor_critic = actor_critic_config(config);
  ppo.gamma = static_cast<float>(config.real("gamma"));
  ppo.lambda = static_cast<float>(config.real("gae_lambda"));
  ppo.epochs = static_cast<int>(config.integer("epochs"));
  ppo.minibatches = static_cast<int>(config.integer("minibatches"));
  ppo.objective = config.text("objective") == "kl" ? PpoObjective::kKlPenalty : PpoObjective::kClip;
  ppo.kl_target = static_cast<float>(config.real("kl_target"));
  ppo.kl_weight = static_cast<float>(config.real("kl_coef"));
  ppo.estimator = config.text("advantage") == "vtrace" ? AdvantageEstimator::kVtrace : AdvantageEstimator::kGae;
  ppo.clip_value = config.flag("clip_value");
  ppo.value_weight = static_cast<float>(config.real("value_coef"));
  ppo.scaling = config.flag("normalize_advantage") ? AdvantageScaling::kNormalize : AdvantageScaling::kNone;
  ppo.target_kl = static_cast<float>(config.real("target_kl"));
  return ppo;
}

class PpoTrainer final : public RolloutTrainer {
 public:
  explicit PpoTrainer(const TrainerSetup& setup)
      : RolloutTrainer(setup), config_(ppo_config(setup.config)), clip_(annealed(setup.config, "clip", "clip_final")) {
    Ppo::check(config_, rows_per_iteration());
    measure();
  }

  std::vector<std::string> metric_names() const override {
    std::vector<std::string> names = RolloutTrainer::metric_names();
    names.emplace_back("charts/clip_range");
    names.emplace_back("charts/kl_coef");
    return names;
  }

 protected:
  ActorCritic& actor_critic() const override { return ppo_->actor_critic(); }

  void build_agent() override {
    ppo_ = std::make_unique<Ppo>(config_, spec_.action, make_network(config_.actor_critic), shape_, workers(),
                                 act_rows(), seed_, stream_, agent_arena_);
  }

  void initialize_agent() override { ppo_->initialize(stream_); }

  std::int64_t learn(std::int64_t row, std::uint64_t iteration) override {
    ppo_->learn(stream_, *ring_,
                {learning_rate(row), static_cast<float>(clip_.at(row)), entropy_weight(row), iteration});
    return static_cast<std::int64_t>(config_.epochs) * config_.minibatches;
  }

  void request_agent_metrics() override {
    RolloutTrainer::request_agent_metrics();
    kl_weight_.request(stream_, ppo_->kl_weight());
  }

  void take_agent_metrics(TrainerMetrics& metrics) override {
    RolloutTrainer::take_agent_metrics(metrics);
    metrics.values.emplace_back("charts/clip_range", clip_.at(schedule_row(metrics)));
    metrics.values.emplace_back("charts/kl_coef", kl_weight_.wait(stream_)[0]);
  }

  std::vector<StateBlock> agent_blocks() override {
    std::vector<StateBlock> blocks = RolloutTrainer::agent_blocks();
    blocks.push_back({"kl_weight", StateBlock::Type::kF32, {1}, ppo_->kl_weight().data});
    return blocks;
  }

 private:
  PpoConfig config_;
  Schedule clip_;
  std::unique_ptr<Ppo> ppo_;
  Readback<float> kl_weight_;
};

}  // namespace

KeyList ppo_keys() {
  using enum ConfigType;
  static constexpr ConfigKey kKeys[] = {
      {.name = "epochs", .type = kInteger, .default_text = "4", .min = 1, .max = 1000, .help = "passes over a rollout"},
      {.name = "minibatches", .type = kInteger, .default_text = "4", .min = 1, .max = 1 << 20, .help = "per epoch"},
      {.name = "objective",
       .type = kChoice,
       .default_text = "clip",
       .choices = "clip|kl",
       .help = "clipped ratio or adaptive penalty on the KL"},
      {.name = "advantage",
       .type = kChoice,
       .default_text = "gae",
       .choices = "gae|vtrace",
       .help = "vtrace: estimated anew each epoch, corrected for how far the policy has moved"},
      {.name = "kl_target",
       .default_text = "0.01",
       .min = 0,
       .max = 100,
       .help = "objective=kl: the divergence per iteration that the weight is adapted to",
       .above_min = true},
      {.name = "kl_coef",
       .default_text = "1",
       .min = 0,
       .max = 1e6,
       .help = "objective=kl: first weight of the penalty",
       .above_min = true},
      {.name = "clip",
       .default_text = "0.2",
       .min = 0,
       .max = 10,
       .help = "epsilon of the ratio's interval",
       .above_min = true},
      {.name = "clip_final",
       .default_text = "1",
       .min = 0,
       .max = 1,
       .help = "fraction of it at the end of the schedule"},
      {.name = "clip_value", .type = kFlag, .default_text = "false", .help = "clip value changes too"},
      {.name = "normalize_advantage", .type = kFlag, .default_text = "true", .help = "per minibatch"},
      {.name = "target_kl",
       .default_text = "0",
       .min = 0,
       .max = 100,
       .help = "stops an iteration's updates beyond 1.5 times this KL; 0 = never"},
  };
  KeyList keys = rollout_keys();
  append(keys, kKeys);
  append(keys, actor_critic_keys());
  append(keys, state_noise_keys());
  return keys;
}

std::unique_ptr<Trainer> make_ppo_trainer(const TrainerSetup& setup) { return std::make_unique<PpoTrainer>(setup); }

std::int64_t ppo_batch_rows(const Config& config) { return rollout_rows(config) / config.integer("minibatches"); }

}  // namespace stampede
