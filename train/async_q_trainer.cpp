// SPDX-License-Identifier: Apache-2.0
#include "train/async_q_trainer.h"

#include "agents/async_q.h"
#include "train/async_keys.h"
#include "train/async_trainer.h"

namespace stampede {
namespace {

AsyncQConfig async_q_config(const Config& config) {
  AsyncQConfig q;
  q.gamma = static_cast<float>(config.real("gamma"));
  q.n_step = static_cast<int>(config.integer("n_step"));
  q.sarsa = config.text("td_target") == "sarsa";
  q.loss = config.text("loss") == "huber" ? TdLoss::kHuber : TdLoss::kSquared;
  q.network = network_shape(config);
  q.optimizer = rms_prop_config(config);
  return q;
}

// One schedule per environment, because each ends at another epsilon.
std::vector<Schedule> epsilon_schedules(const Config& config, std::uint64_t seed) {
  const std::vector<double> finals = config.reals("epsilon_finals");
  const double start = config.real("epsilon_start");
  const double rows = config.real("epsilon_fraction") * static_cast<double>(schedule_rows(config));
  std::vector<Schedule> schedules;
  for (int i = 0; i < config.integer("num_envs"); ++i) {
    const double end = finals[draw_final_epsilon(seed, i)];
    schedules.push_back({ScheduleKind::kLinear, start, end, static_cast<std::int64_t>(rows)});
  }
  return schedules;
}

class AsyncQTrainer final : public AsyncTrainer {
 public:
  explicit AsyncQTrainer(const TrainerSetup& setup)
      : AsyncTrainer(setup, "batched_q", 0),
        config_(async_q_config(setup.config)),
        learning_rate_(annealed(setup.config, "learning_rate", "learning_rate_final")),
        target_interval_(setup.config.integer("target_interval")),
        schedules_(epsilon_schedules(setup.config, seed_)) {
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
    epsilons_.clear();
    for (Arena& arena : worker_arenas_) {
      epsilons_.push_back(arena.take<float>(static_cast<std::size_t>(shape_.environments)));
    }
  }
  void initialize_agent() override { q_->initialize(stream_); }

  void begin_rollout(int worker, std::int64_t row) override {
    const View<float> epsilons = epsilons_[static_cast<std::size_t>(worker)];
    for (std::size_t i = 0; i < epsilons.size(); ++i) {
      epsilons[i] = static_cast<float>(schedules_[static_cast<std::size_t>(worker) * epsilons.size() + i].at(row));
    }
  }
  void act(const Stream& stream, int worker, const TrajectoryRing& ring) override {
    q_->act(stream, worker, ring, epsilons_[static_cast<std::size_t>(worker)].data);
  }
  void learn(const Stream& stream, int worker, const TrajectoryRing& ring, std::int64_t begin,
             std::int64_t end) override {
    q_->learn(stream, worker, ring, epsilons_[static_cast<std::size_t>(worker)].data,
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
    for (int w = 0; config_.sarsa && w < workers(); ++w) {
      const View<std::int32_t> chosen = q_->chosen_actions(w);
      blocks.push_back({worker_name(w, "next_actions"), StateBlock::Type::kU32, {chosen.size()}, chosen.data});
    }
  }
  void agent_restored(bool begun) override { q_->restored(stream_, begun); }

 private:
  double mean_epsilon() const {
    double sum = 0.0;
    for (const Schedule& schedule : schedules_) sum += schedule.at(rows());
    return sum / static_cast<double>(schedules_.size());
  }

  AsyncQConfig config_;
  Schedule learning_rate_;
  std::int64_t target_interval_;
  std::vector<Schedule> schedules_;    // per environment
  std::vector<View<float>> epsilons_;  // per worker: [N], of the running rollout
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
      {.name = "td_target",
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
      {.name = "epsilon_finals",
       .type = kRealList,
       .default_text = "0.1,0.01,0.5",
       .min = 0,
       .max = 1,
       .help = "an environment's epsilon ends at one of these, with probability 0.4, 0.3 and 0.3",
       .items = 3},
  };
  KeyList keys = async_keys();
  append(keys, kKeys);
  append(keys, only(epsilon_keys(), {"epsilon_start", "epsilon_fraction"}));
  append(keys, shared_rms_keys());
  append(keys, network_keys());
  return keys;
}

std::unique_ptr<Trainer> make_async_q_trainer(const TrainerSetup& setup) {
  return std::make_unique<AsyncQTrainer>(setup);
}

}  // namespace stampede
