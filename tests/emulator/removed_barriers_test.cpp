// SPDX-License-Identifier: Apache-2.0
// Bugs planted in the real kernels are found: every barrier left out in turn, a count that is one too large.
#include "tests/emulator/simt.h"

#include <gtest/gtest.h>

#include "kernels/layer_products_blocks.h"
#include "kernels/optimizer_step_blocks.h"
#include "kernels/reduce_blocks.h"
#include "kernels/scan_blocks.h"
#include "tests/emulator/removed_barriers.h"

namespace stampede {
namespace {

using simt::expect_barriers_are_needed;
using simt::GuardedArray;
using simt::Schedule;

std::vector<float> values(std::size_t count) {
  std::vector<float> x(count);
  for (std::size_t i = 0; i < count; ++i) x[i] = static_cast<float>(i * 37 % 101) / 64.0f - 0.7f;
  return x;
}

std::vector<float> scan(std::size_t count, std::size_t claimed, const Schedule& schedule) {
  GuardedArray<float> in(values(kScanChunk)), out(count, 0.0f);
  const ScanArguments<float> arguments{in.data(), claimed, nullptr, nullptr, out.data(), ScanKind::kInclusive};
  simt::run(1, kScanLanes, 0, schedule, ScanChunkKernel<float>{arguments});
  return out.values();
}

TEST(RemovedBarriers, OfReductions) {
  const auto launch = [](const Schedule& schedule) {
    GuardedArray<float> in(values(1000)), sum(1, 0.0f);
    simt::run(1, kReduceLanes, 0, schedule, ReduceChunkKernel<SumOp, Elements<float>>{{in.data()}, 1000, sum.data()});
    return sum.values();
  };
  EXPECT_EQ(expect_barriers_are_needed(launch), 2u);
}

TEST(RemovedBarriers, OfScans) {
  EXPECT_EQ(expect_barriers_are_needed([](const Schedule& schedule) { return scan(1000, 1000, schedule); }), 1u);
}

TEST(RemovedBarriers, OfProducts) {
  const auto launch = [](const Schedule& schedule) {
    constexpr int kRows = 65, kIn = 65, kOut = 144;
    GuardedArray<float> x(values(kRows * kIn)), w(values(kIn * kOut)), b(values(kOut)), y(kRows * kOut, 0.0f);
    const LinearForward op{x.data(), kIn, w.data(), b.data(), y.data(), kOut, kRows, kIn, kOut, GemmActivation::kTanh};
    const BlockProduct product = forward_product(op);
    const ProductKernel<WideTile, false, ActivateEpilogue> kernel{product, {GemmActivation::kTanh}};
    simt::run(tile_count<WideTile>(product), WideTile::kThreads, 0, schedule, kernel);
    return y.values();
  };
  EXPECT_EQ(expect_barriers_are_needed(launch), 2u);
}

TEST(RemovedBarriers, OfEmbeddingGradients) {
  const auto launch = [](const Schedule& schedule) {
    constexpr int kRows = 300, kIn = 3, kOut = 144;
    GuardedArray<float> dy(values(kRows * kOut)), dw(kIn * kOut, 0.0f), db(kOut, 0.0f);
    std::vector<std::int32_t> classes;
    for (int r = 0; r < kRows; ++r) classes.push_back(r * 7 % kIn);
    LinearBackwardWeights op{};
    op.dy = dy.data();
    op.dy_stride = op.out_stride = kOut;
    op.dw = dw.data();
    op.db = db.data();
    op.rows = kRows;
    op.in = kIn;
    simt::run(kIn + 1, EmbeddingGradientKernel::kThreads, 0, schedule, EmbeddingGradientKernel{op, classes.data()});
    return dw.values();
  };
  EXPECT_EQ(expect_barriers_are_needed(launch), 2u);
}

TEST(RemovedBarriers, OfGradientNorms) {
  const auto launch = [](const Schedule& schedule) {
    GuardedArray<float> gradients(values(2 * 1040)), squares(2, 0.0f);
    LearnerState state{};
    OptimizerBlocks blocks{};
    blocks.gradients = gradients.data();
    blocks.scratch = squares.data();
    blocks.count = 1040;
    simt::run(static_cast<unsigned>(optimizer_chunks(1040)), kOptimizerThreads, 0, schedule,
              CombineGradients{blocks, 2, 0.5f, &state});
    return squares.values();
  };
  EXPECT_EQ(expect_barriers_are_needed(launch), 1u);
}

TEST(RemovedBarriers, OfDecidedUpdates) {
  const auto launch = [](const Schedule& schedule) {
    GuardedArray<float> squares(values(257));
    for (int c = 0; c < 257; ++c) squares.data()[c] += 1.0f;
    LearnerState state{};
    UpdateScalars scalars{};
    simt::run(1, DecideUpdate::kThreads, 0, schedule, DecideUpdate{{}, squares.data(), 257, 0.1f, &state, &scalars});
    return std::vector<float>{state.gradient_norm, scalars.rate, scalars.inverse_root};
  };
  EXPECT_EQ(expect_barriers_are_needed(launch), 2u);
}

// What a block of the last update leaves: parameters, norm and rate.
template <class Kernel>
std::vector<float> updated(std::size_t count, const Kernel& kernel, const Schedule& schedule) {
  GuardedArray<float> parameters(values(count)), gradients(values(count)), first(count, 0.0f), second(count, 0.0f);
  GuardedArray<float> scratch(optimizer_scratch_size(count), 0.0f);
  LearnerState state{};
  const OptimizerBlocks blocks{parameters.data(), gradients.data(), first.data(), second.data(), scratch.data(), count};
  kernel(blocks, &state, schedule);
  std::vector<float> all = parameters.values();
  all.push_back(state.gradient_norm);
  all.push_back(update_scalars(blocks)->rate);
  return all;
}

TEST(RemovedBarriers, OfUpdatesOfOneChunk) {
  const auto launch = [](const Schedule& schedule) {
    const auto run = [](const OptimizerBlocks& blocks, LearnerState* state, const Schedule& order) {
      UpdateScalars* const scalars = update_scalars(blocks);
      simt::run(
          1, kOptimizerThreads, 0, order,
          UpdateChunk{
              {blocks, 1, 0.5f, state}, {{}, blocks.scratch, 1, 0.1f, state, scalars}, {{}, false, blocks, scalars}});
    };
    return updated(1000, run, schedule);
  };
  EXPECT_EQ(expect_barriers_are_needed(launch, "kernels/optimizer_blocks.h"), 4u);
}

TEST(RemovedBarriers, OfLayersForward) {
  const auto launch = [](const Schedule& schedule) {
    constexpr int kRows = 65, kIn = 65, kOut = 80;
    GuardedArray<float> x(values(kRows * kIn)), w(values(kIn * kOut)), b(values(kOut)), y(2 * kRows * kOut, 0.0f);
    const LinearForward op{x.data(), kIn, w.data(), b.data(), y.data(), kOut, kRows, kIn, kOut, GemmActivation::kTanh};
    LinearForward other = op;
    other.y = y.data() + kRows * kOut;
    other.activation = GemmActivation::kRelu;
    launch_forward_layers(
        op, other, [&](unsigned grid, const auto& kernel) { simt::run(grid, kLayerThreads, 0, schedule, kernel); });
    return y.values();
  };
  EXPECT_EQ(expect_barriers_are_needed(launch), 2u);
}

TEST(RemovedBarriers, CountsThatAreOneTooLarge) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer stops at the write itself";
#endif
  EXPECT_NO_THROW(scan(257, 257, {}));
  EXPECT_THROW(scan(257, 258, {}), simt::Error);
}

}  // namespace
}  // namespace stampede
