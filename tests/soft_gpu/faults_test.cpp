// SPDX-License-Identifier: Apache-2.0
// Faults that were planted in small kernels are found, and what is close to a fault is not.
#include "tests/soft_gpu/machine_rig.h"

namespace stampede::soft_gpu {
namespace {

using Kind = Fault::Kind;

class FaultsTest : public testing::Test {
 protected:
  std::uint64_t words(std::size_t count) { return rig_.array(std::vector<std::uint32_t>(count)); }
  MachineRig rig_;
};

const std::string kStore = kernel_text(1, "add.s64 %rd20, %rd1, %rd10;\nst.global.u32 [%rd20], %r1;");
const std::string kLoad = kernel_text(1, "add.s64 %rd20, %rd1, %rd10;\nld.global.u32 %r5, [%rd20];");
const std::string kShared = ".shared .align 4 .b8 s[256];";

TEST_F(FaultsTest, AccessBeyondAnAllocation) {
  rig_.run(kStore, 1, 33, {words(33)});
  rig_.expect_fault(Kind::kOutOfBounds, "thread 32", kStore, 1, 33, {words(32)});
  rig_.expect_fault(Kind::kOutOfBounds, "k, block 1, thread 1, PTX line 2", kStore, 2, 31, {words(32)});
  rig_.expect_fault(Kind::kOutOfBounds, "ld.global.u32", kLoad, 1, 1, {words(32) - 4});
}

TEST_F(FaultsTest, UseAfterFree) {
  const std::uint64_t a = words(32);
  rig_.memory.release(a);
  rig_.expect_fault(Kind::kOutOfBounds, "thread 0", kLoad, 1, 32, {a});
}

TEST_F(FaultsTest, ReadOfUnwrittenGlobalMemory) {
  const std::uint64_t a = rig_.memory.allocate(128);
  rig_.memory.host_view(a, 124, Access::kWrite);
  rig_.expect_fault(Kind::kUninitialized, "thread 31", kLoad, 1, 32, {a});
  rig_.run(kStore, 1, 32, {a});
  rig_.run(kLoad, 1, 32, {a});
}

// A vector load may touch bytes that the program then ignores: the compiler says which.
TEST_F(FaultsTest, ReadOfUnwrittenBytesThatNobodyUses) {
  const std::uint64_t a = rig_.memory.allocate(8);
  rig_.memory.host_view(a, 4, Access::kWrite);
  const std::string load = "ld.global.v2.u32 {%r5, %r6}, [%rd1];";
  rig_.run(kernel_text(1, ".pragma \"used_bytes_mask 15\";\n" + load), 1, 1, {a});
  rig_.expect_fault(Kind::kUninitialized, "thread 0", kernel_text(1, load), 1, 1, {a});
}

TEST_F(FaultsTest, ReadOfUnwrittenSharedMemory) {
  const std::string kernel = kernel_text(0, "ld.shared.u32 %r5, [s+8];", kShared);
  rig_.expect_fault(Kind::kUninitialized, "word 8", kernel, 1, 1, {});
  rig_.run(kernel_text(0, "st.shared.u32 [s+8], %r1;\nld.shared.u32 %r5, [s+8];", kShared), 2, 1, {});
}

TEST_F(FaultsTest, SharedMemoryOfAnotherBlockIsGone) {
  const std::string kernel = kernel_text(
      0, "setp.ne.s32 %p1, %r2, 0;\n@%p1 bra $L_read;\nst.shared.u32 [s], %r1;\n$L_read:\nld.shared.u32 %r5, [s];",
      kShared);
  rig_.expect_fault(Kind::kUninitialized, "block 1", kernel, 2, 1, {});
}

TEST_F(FaultsTest, SharedMemoryEnds) {
  const std::string kernel =
      kernel_text(0, "mov.u32 %r5, dynamic;\nst.shared.u32 [%r5+60], %r1;\nst.shared.u32 [%r5+64], %r1;",
                  ".extern .shared .align 16 .b8 dynamic[];");
  rig_.run(kernel, 1, 1, {}, 68);
  EXPECT_THROW(rig_.run(kernel, 1, 1, {}, 64), Fault);
}

TEST_F(FaultsTest, MisalignedAccess) {
  const std::uint64_t a = words(8);
  rig_.expect_fault(Kind::kMisaligned, "thread 0", kLoad, 1, 1, {a + 2});
  rig_.expect_fault(Kind::kMisaligned, "thread 0", kernel_text(1, "ld.global.v2.u32 {%r5, %r6}, [%rd1];"), 1, 1,
                    {a + 4});
  rig_.expect_fault(Kind::kMisaligned, "thread 0",
                    kernel_text(0, "st.shared.v4.u32 [s+8], {%r1, %r1, %r1, %r1};", kShared), 1, 1, {});
}

TEST_F(FaultsTest, BarrierThatSomeLanesDoNotReach) {
  const std::string kernel =
      kernel_text(0, "setp.eq.s32 %p1, %r1, 7;\n@%p1 bra $L_end;\nbar.sync 0;\n$L_end:\nbar.sync 0;");
  rig_.expect_fault(Kind::kWarpSync, "some lanes wait here", kernel, 1, 32, {});
}

TEST_F(FaultsTest, BarrierThatSomeWarpsDoNotReach) {
  const std::string kernel = kernel_text(0, "setp.gt.u32 %p1, %r1, 31;\n@%p1 bra $L_end;\nbar.sync 0;\n$L_end:");
  rig_.expect_fault(Kind::kBarrier, "will not come: 1", kernel, 1, 64, {});
  rig_.run(kernel, 1, 32, {});
}

TEST_F(FaultsTest, WarpsAtDifferentBarriers) {
  const std::string kernel = kernel_text(
      0,
      "setp.gt.u32 %p1, %r1, 31;\n@%p1 bra $L_other;\nbar.sync 0;\nbra.uni $L_end;\n$L_other:\nbar.sync 0;\n$L_end:");
  rig_.expect_fault(Kind::kBarrier, "another warp waits", kernel, 1, 64, {});
}

// A barrier of two of three warps.
TEST_F(FaultsTest, BarriersOfSomeWarps) {
  const std::string kernel = kernel_text(
      0, "setp.gt.u32 %p1, %r1, 63;\nmov.u32 %r5, 64;\n@%p1 bra $L_end;\nbar.sync 1, %r5;\n$L_end:\nbar.sync 0;");
  for (const Schedule& schedule : some_schedules()) {
    rig_.schedule = schedule;
    rig_.run(kernel, 1, 96, {});
    EXPECT_THROW(rig_.run(kernel, 1, 32, {}), Fault);
  }
}

TEST_F(FaultsTest, ShuffleOfALaneThatIsElsewhere) {
  const std::string kernel = kernel_text(
      0,
      "setp.gt.u32 %p1, %r1, 15;\n@%p1 bra $L_end;\nshfl.sync.idx.b32 %r5, %r1, 3, 31, -1;\n$L_end:\nbar.warp.sync "
      "-1;");
  rig_.expect_fault(Kind::kWarpSync, "others at PTX line", kernel, 1, 32, {});
}

TEST_F(FaultsTest, ShuffleFromALaneThatTakesNoPart) {
  const std::string kernel = kernel_text(
      0, "setp.gt.u32 %p1, %r1, 15;\n@%p1 bra $L_end;\nshfl.sync.idx.b32 %r5, %r1, 20, 31, 65535;\n$L_end:");
  rig_.expect_fault(Kind::kWarpSync, "lane 20", kernel, 1, 32, {});
}

TEST_F(FaultsTest, MemberMaskWithoutTheLane) {
  const std::string kernel = kernel_text(0, "shfl.sync.idx.b32 %r5, %r1, 0, 31, 65535;");
  rig_.expect_fault(Kind::kWarpSync, "thread 16", kernel, 1, 32, {});
  const std::string vote = kernel_text(0, "setp.eq.s32 %p1, %r1, 0;\nvote.sync.ballot.b32 %r5, %p1, 1;");
  rig_.expect_fault(Kind::kWarpSync, "thread 1", vote, 1, 32, {});
}

TEST_F(FaultsTest, UnknownInstructions) {
  rig_.expect_fault(Kind::kBadInstruction, "sin.approx", kernel_text(0, "sin.approx.f32 %f1, %f2;"), 1, 1, {});
  rig_.expect_fault(Kind::kBadInstruction, "add.f32", kernel_text(0, "add.f32 %f1, %f2, %f2;"), 1, 1, {});
  rig_.expect_fault(Kind::kBadInstruction, "ftz", kernel_text(0, "add.rn.ftz.f32 %f1, %f2, %f2;"), 1, 1, {});
  rig_.expect_fault(Kind::kBadInstruction, "$L_none", kernel_text(0, "bra $L_none;"), 1, 1, {});
}

TEST_F(FaultsTest, LaunchesThatTheKernelDoesNotAllow) {
  EXPECT_THROW(rig_.run(kStore, 1, 1025, {words(2000)}), Fault);
  EXPECT_THROW(rig_.run(kStore, 0, 32, {words(32)}), Fault);
  EXPECT_THROW(rig_.run(kStore, 1, 32, {}), Fault);
}

}  // namespace
}  // namespace stampede::soft_gpu
