// SPDX-License-Identifier: Apache-2.0
// AsyncQ with rings that a test fills by hand or with environments, driven step by step on one thread.
#pragma once

#include <memory>
#include <vector>

#include "agents/async_q.h"
#include "agents/networks/mlp_network.h"
#include "tests/unit/ring_rows.h"

namespace stampede {

inline constexpr int kRigObservation = 2;
inline constexpr int kRigActions = 3;

// Observations of two floats, three actions, one hidden layer of 16.
class AsyncQRig {
 public:
  AsyncQRig(AsyncQConfig config, int workers, int environments, int rows, std::uint64_t seed = 9)
      : config_(std::move(config)),
        shape_{environments, rows, kRigObservation, ObsType::kFloat32, RecordLayout::for_action_size(1), 0},
        seed_(seed),
        arena_(Device{}) {
    config_.network.hidden = {16};
    for (int w = 0; w < workers; ++w) {
      arenas_.emplace_back(Device{});
      rings_.push_back(std::make_unique<HandRing>(shape_));
    }
    make();
    arena_.allocate("test");
    for (Arena& arena : arenas_) arena.allocate("test");
    make();
    q_->initialize(stream_);
  }

  AsyncQ& q() { return *q_; }
  const Stream& stream() const { return stream_; }
  TrajectoryRing& ring(int worker) { return rings_[static_cast<std::size_t>(worker)]->ring(); }
  // A whole step of one environment: its observation before the step, action, reward and flags.
  void write(int worker, int slot, int environment, std::vector<float> obs, int action, float reward,
             std::uint32_t flags) {
    HandRing& ring = *rings_[static_cast<std::size_t>(worker)];
    auto* const to = static_cast<float*>(ring.ring().obs(slot)) + environment * kRigObservation;
    to[0] = obs[0];
    to[1] = obs[1];
    ring.write(slot, environment, {reward, flags});
    ring.ring().records(slot)[environment * shape_.record.words] = static_cast<std::uint32_t>(action);
  }
  // The ring counts as one whole rollout that starts at row 0.
  void finish_rollout(int worker) { ring(worker).restore(shape_.rows, 0); }
  std::vector<float> gradient(int worker) {
    q_->accumulate(stream_, worker, ring(worker));
    const TrainableNetwork& network = q_->worker_network(worker);
    network.combine_gradients(stream_, q_->groups(), 1.0f);
    return {network.gradients(0), network.gradients(0) + network.spec().parameter_count()};
  }
  std::vector<float> parameters() {
    const View<float> view = q_->shared().parameters();
    return {view.data, view.data + view.size()};
  }

 private:
  void make() {
    const Space observation = Space::box<2>({0.0f, 0.0f}, {1.0f, 1.0f}), action = Space::discrete(kRigActions);
    const NetworkSpec spec = AsyncQ::network_spec(config_, observation, action);
    q_ = std::make_unique<AsyncQ>(config_, action, std::make_shared<MlpNetwork>(spec), shape_, 1, 4, seed_, stream_,
                                  arena_, arenas_);
  }

  AsyncQConfig config_;
  RingShape shape_;
  std::uint64_t seed_;
  Stream stream_ = Stream::cpu();
  Arena arena_;
  std::vector<Arena> arenas_;
  std::vector<std::unique_ptr<HandRing>> rings_;
  std::unique_ptr<AsyncQ> q_;
};

}  // namespace stampede
