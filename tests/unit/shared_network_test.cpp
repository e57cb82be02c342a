// SPDX-License-Identifier: Apache-2.0
// Parameters shared by workers: snapshots, clipping, and what a gradient that is not finite does.
#include "agents/shared_network.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "agents/networks/mlp_network.h"

namespace stampede {
namespace {

// Two workers on parameters of a small network.
class SharedNetworkTest : public testing::Test {
 protected:
  explicit SharedNetworkTest(float max_norm = 0.0f) : max_norm_(max_norm), arena_(Device{}) {
    make();
    arena_.allocate("test");
    make();
    shared_->initialize(7);
    for (const auto& worker : workers_) shared_->snapshot(stream_, *worker);
  }
  void make() {
    const auto network = std::make_shared<MlpNetwork>(
        NetworkSpec(3, false, {{"q", {5}, Activation::kTanh, {{"q", 2, 1.0f}}}}, {}, Initialization::kOrthogonal));
    workers_.clear();
    shared_ = std::make_unique<SharedNetwork>(
        network->spec(), RmsPropConfig{.decay = 0.9f, .epsilon = 0.01f, .max_norm = max_norm_}, arena_);
    for (int w = 0; w < 2; ++w) {
      workers_.push_back(std::make_unique<TrainableNetwork>(network, OptimizerConfig{}, 2, arena_));
    }
  }
  std::vector<float> parameters() const {
    return {shared_->parameters().data, shared_->parameters().data + shared_->parameters().size()};
  }
  static std::vector<float> parameters_of(const TrainableNetwork& worker) {
    return {worker.parameters(), worker.parameters() + worker.spec().parameter_count()};
  }

  float max_norm_;
  Stream stream_ = Stream::cpu();
  Arena arena_;
  std::unique_ptr<SharedNetwork> shared_;
  std::vector<std::unique_ptr<TrainableNetwork>> workers_;
};

TEST_F(SharedNetworkTest, AWorkerSeesItsOwnUpdatesAndOthersAtTheirNextOne) {
  const std::vector<float> before = parameters();
  workers_[0]->gradients(0)[0] = 1.0f;
  shared_->add(stream_, *workers_[0], 1, 1.0f, 0.1f);
  EXPECT_NE(parameters(), before);
  EXPECT_EQ(parameters_of(*workers_[0]), parameters());
  EXPECT_EQ(parameters_of(*workers_[1]), before);
  shared_->add(stream_, *workers_[1], 1, 1.0f, 0.1f);
  EXPECT_EQ(parameters_of(*workers_[1]), parameters());
  EXPECT_EQ(shared_->updates(), 2);
}

// g starts at 0.1 * 2^2 = 0.4 from the first worker; the second one's step divides by a root that includes it.
TEST_F(SharedNetworkTest, StatisticsAreSharedToo) {
  const float start = parameters()[0];
  for (const auto& worker : workers_) {
    worker->gradients(0)[0] = 2.0f;
    shared_->add(stream_, *worker, 1, 1.0f, 0.1f);
  }
  EXPECT_NEAR(shared_->squares()[0], 0.9f * 0.4f + 0.4f, 1e-6f);
  EXPECT_NEAR(parameters()[0], start - 0.2f / std::sqrt(0.41f) - 0.2f / std::sqrt(0.77f), 1e-5f);
}

TEST_F(SharedNetworkTest, GroupsAreSummedAndScaled) {
  workers_[0]->gradients(0)[0] = 1.0f;
  workers_[0]->gradients(1)[0] = 3.0f;
  const float start = parameters()[0];
  shared_->add(stream_, *workers_[0], 2, 0.5f, 0.1f);
  EXPECT_FLOAT_EQ(workers_[0]->state()->gradient_norm, 2.0f);
  EXPECT_NEAR(parameters()[0], start - 0.2f / std::sqrt(0.41f), 1e-5f);
}

TEST_F(SharedNetworkTest, AGradientThatIsNotFiniteStopsEveryWorker) {
  const std::vector<float> before = parameters();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    workers_[0]->gradients(0)[4] = bad;
    shared_->add(stream_, *workers_[0], 1, 1.0f, 0.1f);
    EXPECT_TRUE(shared_->failed());
    EXPECT_EQ(parameters(), before);
  }
  workers_[1]->gradients(0)[4] = 1.0f;
  shared_->add(stream_, *workers_[1], 1, 1.0f, 0.1f);
  EXPECT_EQ(parameters(), before);
  EXPECT_EQ(shared_->updates(), 0);
}

class ClippedSharedNetworkTest : public SharedNetworkTest {
 protected:
  ClippedSharedNetworkTest() : SharedNetworkTest(1.0f) {}
};

TEST_F(ClippedSharedNetworkTest, TheNormIsClippedBeforeTheStatistics) {
  workers_[0]->gradients(0)[0] = 3.0f;
  workers_[0]->gradients(0)[1] = -4.0f;
  const std::vector<float> before = parameters();
  shared_->add(stream_, *workers_[0], 1, 1.0f, 0.1f);
  EXPECT_FLOAT_EQ(workers_[0]->state()->gradient_norm, 5.0f);
  EXPECT_NEAR(shared_->squares()[0], 0.1f * 0.36f, 1e-6f);
  EXPECT_NEAR(parameters()[1], before[1] + 0.08f / std::sqrt(0.064f + 0.01f), 1e-5f);
}

}  // namespace
}  // namespace stampede
