// SPDX-License-Identifier: Apache-2.0
// Races that were planted in small kernels are found in every order, and what a barrier or an atomic orders is no race.
#include "tests/soft_gpu/machine_rig.h"

namespace stampede::soft_gpu {
namespace {

using Kind = Fault::Kind;

class RacesTest : public testing::TestWithParam<int> {
 protected:
  RacesTest() { rig_.schedule = some_schedules()[static_cast<std::size_t>(GetParam())]; }
  std::uint64_t words(std::size_t count) { return rig_.array(std::vector<std::uint32_t>(count)); }
  MachineRig rig_;
};
INSTANTIATE_TEST_SUITE_P(Orders, RacesTest, testing::Range(0, 4));

const std::string kShared = ".shared .align 4 .b8 s[256];";
const std::string kStoreMine =
    "mov.u32 %r5, s;\nshl.b32 %r6, %r1, 2;\nadd.s32 %r5, %r5, %r6;\nst.shared.u32 [%r5], %r1;\n";
// Of thread (i xor 32) or (i xor 1).
const std::string kLoadOfOtherWarp =
    "mov.u32 %r7, s;\nxor.b32 %r8, %r6, 128;\nadd.s32 %r7, %r7, %r8;\nld.shared.u32 %r9, [%r7];\n";
const std::string kLoadOfNeighbour =
    "mov.u32 %r7, s;\nxor.b32 %r8, %r6, 4;\nadd.s32 %r7, %r7, %r8;\nld.shared.u32 %r9, [%r7];\n";
const std::string kBarrier = "bar.sync 0;\n";

TEST_P(RacesTest, ReadOfAnotherWarpsWordNeedsABarrier) {
  const std::string first = kStoreMine + kBarrier;
  rig_.run(kernel_text(0, first + kLoadOfOtherWarp, kShared), 3, 64, {});
  // Written twice, so that the first reader finds a value: uninitialised words are another fault.
  const std::string racing = kernel_text(0, first + "st.shared.u32 [%r5], %r2;\n" + kLoadOfOtherWarp, kShared);
  rig_.expect_fault(Kind::kSharedRace, "without a barrier", racing, 1, 64, {});
}

TEST_P(RacesTest, WriteOfAWordThatAnotherWarpReadsNeedsABarrier) {
  const std::string read = kStoreMine + kBarrier + kLoadOfOtherWarp;
  rig_.run(kernel_text(0, read + kBarrier + kStoreMine, kShared), 1, 64, {});
  rig_.expect_fault(Kind::kSharedRace, "without a barrier", kernel_text(0, read + kStoreMine, kShared), 1, 64, {});
}

TEST_P(RacesTest, LanesOfAWarpNeedABarrierOfTheWarp) {
  const std::string first = kStoreMine + kBarrier;
  rig_.run(kernel_text(0, first + kStoreMine + "bar.warp.sync -1;\n" + kLoadOfNeighbour, kShared), 1, 64, {});
  rig_.expect_fault(Kind::kSharedRace, "without a barrier",
                    kernel_text(0, first + kStoreMine + kLoadOfNeighbour, kShared), 1, 64, {});
  const std::string read = first + kLoadOfNeighbour;
  rig_.run(kernel_text(0, read + "bar.warp.sync -1;\n" + kStoreMine, kShared), 1, 64, {});
  rig_.expect_fault(Kind::kSharedRace, "without a barrier", kernel_text(0, read + kStoreMine, kShared), 1, 64, {});
}

TEST_P(RacesTest, ThreadsMayWriteTheSameValueButNotDifferentOnes) {
  rig_.run(kernel_text(0, "st.shared.u32 [s], %r2;", kShared), 1, 64, {});
  rig_.expect_fault(Kind::kSharedRace, "another value", kernel_text(0, "st.shared.u32 [s], %r1;", kShared), 1, 64, {});
  const std::uint64_t a = words(1);
  rig_.run(kernel_text(1, "mov.u32 %r5, 3;\nst.global.u32 [%rd1], %r5;"), 2, 64, {a});
  rig_.expect_fault(Kind::kGlobalRace, "another value", kernel_text(1, "st.global.u32 [%rd1], %r2;"), 2, 1, {a});
  rig_.expect_fault(Kind::kGlobalRace, "another value", kernel_text(1, "st.global.u32 [%rd1], %r1;"), 1, 64, {a});
  rig_.expect_fault(Kind::kGlobalRace, "another value", kernel_text(1, "st.global.u32 [%rd1], %r1;"), 1, 2, {a});
}

// A word has one note of its last reader: that there were others must not be lost.
TEST_P(RacesTest, AWriterThatReadLastDoesNotHideOtherReaders) {
  const std::string one_writes = "\n@%p1 bra $L_end;\n";
  const std::string thread = "setp.ne.s32 %p1, %r1, 63;" + one_writes, block = "setp.ne.s32 %p1, %r2, 1;" + one_writes;
  const std::string read = "st.shared.u32 [s], %r2;\n" + kBarrier + "ld.shared.u32 %r9, [s];\n";
  const std::string write = thread + "st.shared.u32 [s], %r1;\n$L_end:\n";
  rig_.run(kernel_text(0, read + kBarrier + write, kShared), 1, 64, {});
  rig_.expect_fault(Kind::kSharedRace, "without a barrier", kernel_text(0, read + write, kShared), 1, 64, {});
  // A barrier of the writer's warp, after which it alone reads, orders its lanes but not the other warp.
  const std::string again = read + "bar.warp.sync -1;\n" + thread + "ld.shared.u32 %r9, [s];\n";
  const std::string late = again + "st.shared.u32 [s], %r1;\n$L_end:\n";
  rig_.run(kernel_text(0, late, kShared), 1, 32, {});
  rig_.expect_fault(Kind::kSharedRace, "without a barrier", kernel_text(0, late, kShared), 1, 64, {});
  const std::uint64_t a = words(1);
  const std::string load = "ld.global.u32 %r9, [%rd1];\n", store = "st.global.u32 [%rd1], %r1;\n$L_end:\n";
  rig_.run(kernel_text(1, load + kBarrier + thread + store), 1, 64, {a});
  rig_.expect_fault(Kind::kGlobalRace, "nothing orders them", kernel_text(1, load + thread + store), 1, 64, {a});
  rig_.expect_fault(Kind::kGlobalRace, "nothing orders them", kernel_text(1, load + block + store), 2, 1, {a});
}

// Warps 0 and 1 meet at a barrier of their own; warp 2 only at the last one.
TEST_P(RacesTest, ABarrierOrdersOnlyTheWarpsThatMeetThere) {
  const std::string some = "mov.u32 %r20, 64;\nsetp.gt.u32 %p1, %r1, 63;\n@%p1 bra $L_third;\nbar.sync 1, %r20;\n" +
                           kLoadOfOtherWarp + "$L_third:\n";
  const std::string wide = ".shared .align 4 .b8 s[512];";
  rig_.run(kernel_text(0, kStoreMine + some, wide), 1, 96, {});
  const std::string third =
      "mov.u32 %r20, 64;\nsetp.gt.u32 %p1, %r1, 63;\n@%p1 bra $L_third;\nbar.sync 1, %r20;\n"
      "bra.uni $L_end;\n$L_third:\nmov.u32 %r7, s;\nld.shared.u32 %r9, [%r7];\n$L_end:\n";
  rig_.expect_fault(Kind::kSharedRace, "without a barrier",
                    kernel_text(0, kStoreMine + kBarrier + kStoreMine + third, wide), 1, 96, {});
}

const std::string kStoreBlock =
    "setp.ne.s32 %p1, %r1, 0;\n@%p1 bra $L_stored;\nmul.wide.u32 %rd20, %r2, 4;\n"
    "add.s64 %rd20, %rd1, %rd20;\nst.global.u32 [%rd20], %r2;\n$L_stored:\n";

TEST_P(RacesTest, BlocksDoNotSeeEachOther) {
  const std::uint64_t a = words(4);
  rig_.run(kernel_text(1, kStoreBlock), 4, 32, {a});
  rig_.run(kernel_text(1, kStoreBlock + "ld.global.u32 %r5, [%rd20];"), 4, 1, {a});
  rig_.expect_fault(Kind::kGlobalRace, "nothing orders them",
                    kernel_text(1, kStoreBlock + "ld.global.u32 %r5, [%rd1];"), 4, 1, {a});
}

TEST_P(RacesTest, LaunchesAreOrdered) {
  const std::uint64_t a = words(4);
  const std::string load = kernel_text(1, "ld.global.u32 %r5, [%rd1];\nld.global.u32 %r5, [%rd1+4];");
  for (int i = 0; i < 3; ++i) {
    rig_.run(kernel_text(1, kStoreBlock), 4, 32, {a});
    rig_.run(load, 4, 33, {a});
  }
}

TEST_P(RacesTest, WarpsOfABlockNeedABarrierForGlobalMemory) {
  const std::uint64_t a = words(64);
  const std::string store = "add.s64 %rd20, %rd1, %rd11;\nst.global.u32 [%rd20], %r1;\n";
  const std::string load = "xor.b64 %rd21, %rd11, 128;\nadd.s64 %rd21, %rd1, %rd21;\nld.global.u32 %r9, [%rd21];\n";
  rig_.run(kernel_text(1, store + kBarrier + load), 1, 64, {a});
  rig_.expect_fault(Kind::kGlobalRace, "nothing orders them", kernel_text(1, store + load), 1, 64, {a});
}

// The last block to arrive reads what all wrote: kernels/last_block.h.
std::string last_block_kernel(const std::string& fence) {
  return kernel_text(2, kStoreBlock + kBarrier + "@%p1 bra $L_end;\n" + fence +
                            "atom.global.add.u32 %r5, [%rd2], 1;\nsetp.ne.s32 %p2, %r5, 3;\n@%p2 bra $L_end;\n"
                            "mov.u32 %r6, 0;\nst.global.u32 [%rd2], %r6;\nmembar.gl;\n"
                            "ld.global.v4.u32 {%r7, %r8, %r9, %r10}, [%rd1];\n$L_end:\n");
}

TEST_P(RacesTest, AFenceAndAnAtomicOrderBlocks) {
  const std::uint64_t a = words(4), arrived = words(1);
  for (int i = 0; i < 2; ++i) rig_.run(last_block_kernel("membar.gl;\n"), 4, 64, {a, arrived});
  EXPECT_EQ(rig_.values<std::uint32_t>(a, 4), (std::vector<std::uint32_t>{0, 1, 2, 3}));
}

TEST_P(RacesTest, AnAtomicWithoutAFenceDoesNot) {
  rig_.expect_fault(Kind::kGlobalRace, "nothing orders them", last_block_kernel(""), 4, 64, {words(4), words(1)});
}

TEST_P(RacesTest, AtomicsOfBlocksMeet) {
  const std::uint64_t count = words(1);
  rig_.run(kernel_text(1, "atom.global.add.u32 %r5, [%rd1], 1;"), 3, 33, {count});
  EXPECT_EQ(rig_.values<std::uint32_t>(count, 1)[0], 99u);
  const std::string plain = "ld.global.u32 %r5, [%rd1];\n";
  rig_.expect_fault(Kind::kGlobalRace, "", kernel_text(1, "atom.global.add.u32 %r5, [%rd1], 1;\n" + plain), 3, 1,
                    {count});
}

TEST_P(RacesTest, VolatileAccessesMeetEachOther) {
  const std::uint64_t a = words(1);
  const std::string store = "st.volatile.global.u32 [%rd1], %r2;\n", load = "ld.volatile.global.u32 %r5, [%rd1];\n";
  rig_.run(kernel_text(1, load + store + load + "atom.global.max.u32 %r5, [%rd1], 7;"), 3, 33, {a});
  EXPECT_EQ(rig_.values<std::uint32_t>(a, 1)[0], 7u);
  rig_.expect_fault(Kind::kGlobalRace, "", kernel_text(1, store + "ld.global.u32 %r5, [%rd1];"), 3, 1, {a});
  rig_.expect_fault(Kind::kGlobalRace, "", kernel_text(1, load + "st.global.u32 [%rd1], %r2;\n" + load), 3, 1, {a});
}

TEST_P(RacesTest, ChecksCanBeSwitchedOff) {
  rig_.schedule.check_races = false;
  rig_.run(kernel_text(1, "st.global.u32 [%rd1], %r2;"), 2, 1, {words(1)});
  rig_.run(kernel_text(0, "st.shared.u32 [s], %r1;", kShared), 1, 64, {});
}

}  // namespace
}  // namespace stampede::soft_gpu
