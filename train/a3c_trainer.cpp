// SPDX-License-Identifier: Apache-2.0
#include "train/a3c_trainer.h"

#include "agents/a3c.h"
#include "train/async_keys.h"
#include "train/async_trainer.h"
#include "train/normalizer_blocks.h"
#include "train/policy_keys.h"
#include "train/policy_report.h"
#include "train/state_noise_keys.h"

namespace stampede {
namespace {

A2cConfig a3c_config(const Config& config) {
  A2cConfig a3c;
  a3c.actor_critic = actor_critic_config(config);
  a3c.gamma = static_cast<float>(config.real("gamma"));
  a3c.lambda = static_cast<float>(config.real("gae_lambda"));
  a3c.value_weight = static_cast<float>(config.real("value_coef"));
  return a3c;
}

class A3cTrainer final : public AsyncTrainer {
 public:
  explicit A3cTrainer(const TrainerSetup& setup)
      : AsyncTrainer(setup, "a2c",
                     RolloutExtra::size(!setup.env.spec.action.is_discrete(), setup.env.spec.action.size)),
        config_(a3c_config(setup.config)),
        optimizer_(rms_prop_config(setup.config)),
        learning_rate_(annealed(setup.config, "learning_rate", "learning_rate_final")),
        entropy_(annealed(setup.config, "entropy_coef", "entropy_final")) {
    ActorCritic::check(config_.actor_critic, spec_.action);
    measure();
  }

  std::vector<std::string> metric_names() const override {
    std::vector<std::string> names = policy_report_names();
    names.emplace_back("charts/learning_rate");
    return names;
  }

 protected:
  SharedNetwork& shared() override { return a3c_->shared(); }
  const SharedNetwork& shared() const override { return a3c_->shared(); }

  void build_agent() override {
    a3c_ = std::make_unique<A3c>(
        config_, optimizer_, spec_.action,
        network_factory_(ActorCritic::network_spec(config_.actor_critic, spec_.observation, spec_.action)), shape_,
        stream_.threads(), evaluation_rows(), seed_, stream_, agent_arena_, worker_arenas_);
  }
  void initialize_agent() override { a3c_->initialize(stream_); }

  void begin_rollout(int /*worker*/, std::int64_t /*row*/) override {}
  void act(const Stream& stream, int worker, const TrajectoryRing& ring) override { a3c_->act(stream, worker, ring); }
  void learn(const Stream& stream, int worker, const TrajectoryRing& ring, std::int64_t begin,
             std::int64_t /*end*/) override {
    a3c_->learn(stream, worker, ring,
                {static_cast<float>(learning_rate_.at(begin)), static_cast<float>(entropy_.at(begin))});
  }

  void begin_evaluation() override { a3c_->synchronize(stream_); }
  void evaluate_acts(const Stream& stream, const EvaluationActs& acts, EvaluationMode mode) const override {
    const ActionMode action = mode == EvaluationMode::kGreedy ? ActionMode::kGreedy : ActionMode::kSample;
    a3c_->agent(0).act(
        stream, {acts.obs, acts.records, nullptr, acts.begin, acts.end, acts.row, acts.worker, action, acts.seed});
  }

  void read_agent_metrics(TrainerMetrics& metrics) override {
    std::vector<PolicyDrift> drifts;
    for (int w = 0; w < workers(); ++w) drifts.push_back(a3c_->read_drift(stream_, w, ring(w)));
    metrics.values = policy_report(a3c_->read_metrics(stream_));
    append_drift(mean(drifts), metrics.values);
    metrics.values.emplace_back("charts/learning_rate", learning_rate_.at(rows()));
  }

  void add_agent_blocks(std::vector<StateBlock>& blocks) override {
    for (int w = 0; w < workers(); ++w) add_normalizer_blocks(a3c_->agent(w), worker_name(w, ""), blocks);
  }
  void agent_restored(bool /*begun*/) override { a3c_->restored(stream_); }

 private:
  A2cConfig config_;
  RmsPropConfig optimizer_;
  Schedule learning_rate_, entropy_;
  std::unique_ptr<A3c> a3c_;
};

}  // namespace

KeyList a3c_keys() {
  KeyList keys = async_keys();
  append(keys, only(rollout_keys(), {"gae_lambda"}));
  append(keys, without(actor_critic_keys(), optimizer_keys()));
  append(keys, state_noise_keys());
  append(keys, shared_rms_keys());
  set_default(keys, "gae_lambda", "1");
  set_default(keys, "optimizer_epsilon", "1e-5");
  set_default(keys, "max_grad_norm", "0.5");
  return keys;
}

std::unique_ptr<Trainer> make_a3c_trainer(const TrainerSetup& setup) { return std::make_unique<A3cTrainer>(setup); }

}  // namespace stampede
