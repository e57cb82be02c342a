// SPDX-License-Identifier: Apache-2.0
#include "train/async_q_trainer.h"

#include <string>

#include "agents/async_q.h"
#include "kernels/error.h"
#include "train/async_keys.h"
#include "train/async_trainer.h"
#include "train/epsilon_keys.h"

namespace stampede {
namespace {

AsyncQConfig async_q_config(const Config& config) {
  AsyncQConfig q;
  q.gamma = static_cast<float>(config.real("gamma"));
  q.n_step = static_cast<int>(config.integer("n_step"));
  q.bootstrap = config.text("target") == "sarsa" ? BootstrapKind::kSarsa : BootstrapKind::kMax;
  q.loss = config.text("loss") == "huber" ? TdLoss::kHuber : TdLoss::kSquared;
  q.network = network_shape(config);
  q.optimizer = rms_prop_config(config);
  return q;
}

// A target of more steps than a rollout has rows would silently be a shorter one.
void check_steps(int n_step, int rollout_steps) {
  if (n_step <= rollout_steps) return;
  throw UsageError("n_step: " + std::to_string(n_step) + " steps are more than the " + std::to_string(rollout_steps) +
                   " of a rollout; raise rollout_steps, or 0 = to the end of the rollout");
}

class AsyncQTrainer final : public AsyncTrainer {
 public:
  explicit AsyncQTrainer(const TrainerSetup& setup)
      : AsyncTrainer(setup, "batched_q, batched_sarsa or batched_nstep_q", 0),
        config_(async_q_config(setup.config)),
        learning_rate_(annealed(setup.config, "learning_rate", "learning_rate_final")),
        target_interval_(setup.config.integer("target_interval")),
        epsilon_(epsilon_schedule(setup.config)),
        epsilon_ends_(setup.config.reals("epsilon_ends")),
        epsilon_shares_(setup.config.reals("epsilon_shares")) {
    FinalEpsilons::check(epsilon_ends_, epsilon_shares_);
    check_steps(config_.n_step, shape_.rows);
    measure();
  }

  std::vector<std::string> metric_names() const override {
    return {"losses/td_loss",       "losses/q_values", "losses/absolute_td_error", "losses/td_target",
            "losses/gradient_norm", "charts/epsilon",  "charts/learning_rate"};
  }

 protected:
  SharedNetwork& shared() override { return q_->shared(); }
  const SharedNetwork& shared() const override { return q_->shared(); }

  void build_agent() override {
    q_ = std::make_unique<AsyncQ>(
        config_, spec_.action, network_factory_(AsyncQ::network_spec(config_, spec_.observation, spec_.action)), shape_,
        stream_.threads(), evaluation_rows(), seed_, stream_, agent_arena_, worker_arenas_);
    final_epsilons_ =
        std::make_unique<FinalEpsilons>(epsilon_ends_, epsilon_shares_, shape_.environments * workers(), agent_arena_);
    epsilons_.resize(worker_arenas_.size());
  }
  void initialize_agent() override {
    q_->initialize(stream_);
    final_epsilons_->initialize(stream_, seed_);
  }

  void begin_rollout(int worker, std::int64_t row) override {
    epsilons_[static_cast<std::size_t>(worker)].value = epsilon_of(row, worker * shape_.environments);
  }
  void act(const Stream& stream, int worker, const TrajectoryRing& ring) override {
    q_->act(stream, worker, ring, epsilons_[static_cast<std::size_t>(worker)].value);
  }
  void learn(const Stream& stream, int worker, const TrajectoryRing& ring, std::int64_t begin,
             std::int64_t end) override {
    q_->learn(stream, worker, ring, epsilons_[static_cast<std::size_t>(worker)].value,
              static_cast<float>(learning_rate_.at(begin)));
    if (begin / target_interval_ != end / target_interval_) q_->update_target();
  }

  void evaluate_acts(const Stream& stream, const EvaluationActs& acts, EvaluationMode mode) const override {
    const float epsilon = mode == EvaluationMode::kGreedy ? 0.0f : static_cast<float>(mean_epsilon());
    q_->evaluate(stream, {acts.obs, acts.records, acts.begin, acts.end, acts.row, acts.worker, epsilon, acts.seed});
  }

  void read_agent_metrics(TrainerMetrics& metrics) override {
    const AsyncQMetrics m = q_->read_metrics();
    metrics.values = {{"losses/td_loss", m.loss},
                      {"losses/q_values", m.mean_q},
                      {"losses/absolute_td_error", m.mean_absolute_error},
                      {"losses/td_target", m.mean_target},
                      {"losses/gradient_norm", m.gradient_norm},
                      {"charts/epsilon", mean_epsilon()},
                      {"charts/learning_rate", learning_rate_.at(rows())}};
  }

  void add_agent_blocks(std::vector<StateBlock>& blocks) override {
    const View<float> target = q_->target_parameters();
    blocks.push_back({"target.parameters", StateBlock::Type::kF32, {target.size()}, target.data, &shared().spec()});
    for (int w = 0; config_.bootstrap == BootstrapKind::kSarsa && w < workers(); ++w) {
      const View<std::int32_t> chosen = q_->chosen_actions(w);
      blocks.push_back({worker_name(w, "next_actions"), StateBlock::Type::kU32, {chosen.size()}, chosen.data});
    }
  }
  void agent_restored(bool begun) override { q_->restored(stream_, begun); }

 private:
  // Of the environments from `first` on.
  Epsilon epsilon_of(std::int64_t row, int first) const {
    const float* const final_values = final_epsilons_->data();
    return epsilon_at(epsilon_, row, final_values ? final_values + first : nullptr);
  }
  double mean_epsilon() const {
    const Epsilon epsilon = epsilon_of(rows(), 0);
    const int count = shape_.environments * workers();
    double sum = 0.0;
    for (int i = 0; i < count; ++i) sum += static_cast<double>(epsilon.of(i));
    return sum / count;
  }

  // Written by one worker while others read theirs.
  struct alignas(64) WorkerEpsilon {
    Epsilon value;
  };

  AsyncQConfig config_;
  Schedule learning_rate_;
  std::int64_t target_interval_;
  Schedule epsilon_;
  std::vector<double> epsilon_ends_, epsilon_shares_;
  std::unique_ptr<FinalEpsilons> final_epsilons_;
  std::vector<WorkerEpsilon> epsilons_;  // per worker, of the running rollout
  std::unique_ptr<AsyncQ> q_;
};

}  // namespace

KeyList async_q_keys() {
  using enum ConfigType;
  static constexpr ConfigKey kKeys[] = {
      {.name = "n_step",
       .type = kInteger,
       .default_text = "1",
       .min = 0,
       .max = 1000,
       .help = "steps folded into a target; 0 = to the end of the rollout"},
      {.name = "target",
       .type = kChoice,
       .default_text = "max",
       .choices = "max|sarsa",
       .help = "bootstraps from the best action or from the one executed next"},
      {.name = "loss",
       .type = kChoice,
       .default_text = "squared",
       .choices = "huber|squared",
       .help = "of the temporal-difference error"},
      {.name = "target_interval",
       .type = kInteger,
       .default_text = "1000",
       .min = 1,
       .max = 1e12,
       .help = "rows of all workers between copies into the target network"},
  };
  KeyList keys = async_keys();
  append(keys, kKeys);
  append(keys, epsilon_keys());
  append(keys, final_epsilon_keys());
  set_default(keys, "epsilon_ends", "0.1,0.01,0.5");
  set_default(keys, "epsilon_shares", "0.4,0.3,0.3");
  append(keys, shared_rms_keys());
  append(keys, network_keys());
  return keys;
}

std::unique_ptr<Trainer> make_async_q_trainer(const TrainerSetup& setup) {
  return std::make_unique<AsyncQTrainer>(setup);
}

}  // namespace stampede
