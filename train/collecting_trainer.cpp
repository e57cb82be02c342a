// SPDX-License-Identifier: Apache-2.0
#include "train/collecting_trainer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/error.h"
#include "train/env_blocks.h"
#include "train/memory_budget.h"

namespace stampede {
namespace {

RingShape ring_shape(const EnvSpec& spec, int environments, int rows, int extra_size) {
  const bool discrete = spec.observation.is_discrete();
  return {environments,
          rows,
          discrete ? 1 : spec.observation.size,
          discrete ? ObsType::kInt32 : ObsType::kFloat32,
          RecordLayout::for_action_size(spec.action.size),
          extra_size};
}

}  // namespace

CollectingTrainer::CollectingTrainer(const TrainerSetup& setup, int ring_rows, int extra_size, bool on_policy)
    : stream_(setup.stream),
      network_factory_(setup.network_factory),
      seed_(static_cast<std::uint64_t>(setup.config.integer("seed"))),
      environments_(static_cast<int>(setup.config.integer("num_envs"))),
      spec_(setup.env.resolve(setup.env_parameters)),
      agent_arena_(stream_.device()),
      entry_(setup.env),
      on_policy_(on_policy),
      env_parameters_(setup.env_parameters),
      eval_episodes_(static_cast<int>(setup.config.integer("eval_episodes"))),
      env_arena_(stream_.device()),
      replay_arena_(stream_.device()),
      eval_arena_(stream_.device()) {
  shape_ = ring_shape(spec_, environments_, ring_rows, extra_size);
}

void CollectingTrainer::build() {
  env_ = entry_.make(env_parameters_, environments_, seed_, 0, env_arena_);
  ring_ = std::make_unique<TrajectoryRing>(shape_, replay_arena_);
  build_agent();
  evaluator_ = std::make_unique<Evaluator>(entry_, env_parameters_, eval_episodes_, eval_arena_);
  built();
}

void CollectingTrainer::measure() {
  build();
  budget_ = {{"environments", env_arena_.bytes()},
             {"replay", replay_arena_.bytes()},
             {"agent", agent_arena_.bytes()},
             {"evaluation", eval_arena_.bytes()}};
  check_memory_budget(stream_.device(), budget_);
}

std::vector<std::pair<std::string, std::size_t>> CollectingTrainer::memory_budget() const { return budget_; }

void CollectingTrainer::initialize() {
  env_arena_.allocate("environments");
  replay_arena_.allocate("the trajectory ring");
  agent_arena_.allocate("the agent");
  eval_arena_.allocate("evaluation");
  build();
  env_->reset(stream_, ring_->obs(0));
  initialize_agent();
}

int CollectingTrainer::act_rows() const {
  return std::max(std::min(env_block_size(stream_, environments_), environments_),
                  std::min(env_block_size(stream_, eval_episodes_), eval_episodes_));
}

void CollectingTrainer::request_episodes() {
  take_episodes();
  env_->episodes().request(stream_);
  episodes_requested_ = true;
}

void CollectingTrainer::take_episodes() {
  if (!std::exchange(episodes_requested_, false)) return;
  std::int64_t finished = 0;
  const std::vector<Episode> taken = env_->episodes().take(stream_, &finished);
  pending_.episodes.insert(pending_.episodes.end(), taken.begin(), taken.end());
  pending_.finished_episodes += finished;
  finished_ += finished;
  if (!metrics_rows_) return;
  pending_.rows = *std::exchange(metrics_rows_, std::nullopt);
  pending_.env_steps = pending_.rows - finished_;
}

void CollectingTrainer::drain_episodes() {
  request_episodes();
  take_episodes();
}

std::int64_t CollectingTrainer::env_steps() {
  drain_episodes();
  return rows() - finished_;
}

void CollectingTrainer::request_metrics() {
  request_episodes();
  metrics_rows_ = rows();
  request_agent_metrics();
}

TrainerMetrics CollectingTrainer::take_metrics() {
  take_episodes();
  TrainerMetrics metrics = std::exchange(pending_, {});
  take_agent_metrics(metrics);
  return metrics;
}

EvaluationResult CollectingTrainer::evaluate(std::uint64_t seed, EvaluationMode mode) {
  return evaluator_->run(stream_, seed,
                         [&](const Stream& stream, const EvaluationActs& acts) { evaluate_acts(stream, acts, mode); });
}

void CollectingTrainer::add_parameter_blocks(const std::string& name, View<float> view, const NetworkSpec& spec,
                                             std::vector<StateBlock>& blocks) {
  const std::size_t count = spec.parameter_count();
  blocks.push_back({name, StateBlock::Type::kF32, {count}, view.data, &spec});
  if (view.size() == count) return;
  blocks.push_back({name + ".extra", StateBlock::Type::kF32, {view.size() - count}, view.data + count});
}

void CollectingTrainer::add_network_blocks(TrainableNetwork& network, const std::string& prefix,
                                           std::vector<StateBlock>& blocks) {
  const NetworkSpec& spec = network.spec();
  add_parameter_blocks(prefix + "parameters", network.parameter_block(), spec, blocks);
  add_parameter_blocks(prefix + "first_moment", network.first_moment(), spec, blocks);
  add_parameter_blocks(prefix + "second_moment", network.second_moment(), spec, blocks);
  const View<LearnerState> state = network.state_block();
  blocks.push_back({prefix + "learner_state", StateBlock::Type::kU8, {sizeof(LearnerState)}, state.data});
}

std::vector<StateBlock> CollectingTrainer::state_blocks(bool with_replay) {
  drain_episodes();
  ring_base_ = ring_->base();
  std::vector<StateBlock> blocks = agent_blocks();
  const View<std::byte> env = env_->checkpoint_bytes();
  blocks.push_back({"environments", StateBlock::Type::kU8, {env.size()}, env.data});
  const View<std::byte> obs = ring_->obs_bytes();
  if (with_replay) {
    blocks.push_back({"ring.obs", StateBlock::Type::kU8, {obs.size()}, obs.data});
    blocks.push_back(
        {"ring.records", StateBlock::Type::kU32, {ring_->record_words().size()}, ring_->record_words().data});
    if (ring_->extra_values().size() > 0) {
      blocks.push_back(
          {"ring.extra", StateBlock::Type::kF32, {ring_->extra_values().size()}, ring_->extra_values().data});
    }
  } else {
    const std::size_t slot = obs.size() / static_cast<std::size_t>(shape_.rows + 1);
    blocks.push_back({"ring.head_obs", StateBlock::Type::kU8, {slot}, ring_->obs(ring_->slot(ring_->head()))});
  }
  return blocks;
}

StateCounters CollectingTrainer::state_counters() {
  return {{"ring_head", &ring_head_},
          {"ring_base", &ring_base_},
          {"updates", &updates_},
          {"finished_episodes", &finished_}};
}

void CollectingTrainer::restored(bool with_replay) {
  // Without replay the head's observation was put into slot 0 and nothing lies behind it.
  if (!with_replay) ring_base_ = ring_head_;
  ring_->restore(ring_head_, ring_base_);
  agent_restored();
}

}  // namespace stampede
