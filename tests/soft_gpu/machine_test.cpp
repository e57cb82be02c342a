// SPDX-License-Identifier: Apache-2.0
// What instructions compute, and how lanes and warps go through a program, against values from the PTX ISA's text.
#include "tests/soft_gpu/machine.h"

#include <bit>
#include <cmath>
#include <limits>

#include "tests/soft_gpu/code.h"
#include "tests/soft_gpu/machine_rig.h"

namespace stampede::soft_gpu {
namespace {

using Words = std::vector<std::uint32_t>;

class MachineTest : public testing::Test {
 protected:
  // What each thread of a block stores after `body` has put a word in %r9.
  Words words_of(const std::string& body, unsigned threads = 32, const std::string& before = "") {
    const std::uint64_t out = rig_.array(Words(threads, 0xDEADu));
    rig_.run(kernel_text(1, body + "\nadd.s64 %rd30, %rd1, %rd11;\nst.global.u32 [%rd30], %r9;", before), 1, threads,
             {out});
    return rig_.values<std::uint32_t>(out, threads);
  }
  std::uint32_t word_of(const std::string& body) { return words_of(body, 1)[0]; }
  // Of an instruction from %f1 and %f2 to %f3.
  float real_of(const std::string& instruction, float a, float b) {
    const std::string move_a = "mov.b32 %f1, " + std::to_string(std::bit_cast<std::uint32_t>(a)) + ";\n";
    const std::string move_b = "mov.b32 %f2, " + std::to_string(std::bit_cast<std::uint32_t>(b)) + ";\n";
    return std::bit_cast<float>(word_of(move_a + move_b + instruction + "\nmov.b32 %r9, %f3;"));
  }
  static Words of_each_lane(const auto& value, unsigned threads = 32) {
    Words words(threads);
    for (unsigned i = 0; i < threads; ++i) words[i] = value(i);
    return words;
  }
  MachineRig rig_;
};

TEST_F(MachineTest, RealsAreRoundedOnceAndNansAreCanonical) {
  EXPECT_EQ(real_of("fma.rn.f32 %f3, %f1, %f1, %f2;", 1.0f + 0x1p-12f, -1.0f),
            std::fma(1.0f + 0x1p-12f, 1.0f + 0x1p-12f, -1.0f));
  EXPECT_EQ(real_of("div.rn.f32 %f3, %f1, %f2;", 1.0f, 3.0f), 1.0f / 3.0f);
  EXPECT_EQ(real_of("mul.rn.f32 %f3, %f1, %f2;", 0x1p-100f, 0x1p-40f), 0x1p-140f);  // subnormal, not flushed
  const float nan = real_of("sub.rn.f32 %f3, %f1, %f2;", INFINITY, INFINITY);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(nan), 0x7FFFFFFFu);
  EXPECT_EQ(real_of("max.f32 %f3, %f1, %f2;", nan, -2.0f), -2.0f);
  EXPECT_EQ(real_of("min.f32 %f3, %f1, %f2;", 5.0f, nan), 5.0f);
  EXPECT_TRUE(std::signbit(real_of("min.f32 %f3, %f1, %f2;", 0.0f, -0.0f)));
  EXPECT_FALSE(std::signbit(real_of("max.f32 %f3, %f1, %f2;", -0.0f, 0.0f)));
}

TEST_F(MachineTest, ApproximateTanhKeepsItsBound) {
  for (float x = -9.0f; x <= 9.0f; x += 0.37f) {
    const float exact = std::tanh(x);
    EXPECT_NEAR(real_of("tanh.approx.f32 %f3, %f1;", x, 0.0f), exact, 0x1p-11f * std::fabs(exact)) << x;
  }
}

TEST_F(MachineTest, ComparisonsOfNan) {
  const std::string nan = "mov.b32 %f1, 0x7FFFFFFF;\nmov.b32 %f2, 0f3F800000;\n";
  const auto holds = [&](const std::string& relation) {
    return word_of(nan + "setp." + relation + ".f32 %p1, %f1, %f2;\nselp.u32 %r9, 1, 0, %p1;") == 1;
  };
  for (const char* ordered : {"eq", "ne", "lt", "le", "gt", "ge", "num"}) EXPECT_FALSE(holds(ordered)) << ordered;
  for (const char* unordered : {"equ", "neu", "ltu", "leu", "gtu", "geu", "nan"}) EXPECT_TRUE(holds(unordered));
}

TEST_F(MachineTest, ConversionsSaturate) {
  const auto integer = [&](const std::string& type, float x) {
    return word_of("mov.b32 %f1, " + std::to_string(std::bit_cast<std::uint32_t>(x)) + ";\ncvt.rzi." + type +
                   ".f32 %r9, %f1;");
  };
  EXPECT_EQ(integer("s32", -2.9f), static_cast<std::uint32_t>(-2));
  EXPECT_EQ(integer("s32", 3e9f), 0x7FFFFFFFu);
  EXPECT_EQ(integer("s32", -3e9f), 0x80000000u);
  EXPECT_EQ(integer("s32", NAN), 0u);
  EXPECT_EQ(integer("u32", -1.0f), 0u);
  EXPECT_EQ(integer("u32", 4e9f), 4000000000u);
  EXPECT_EQ(integer("u32", 5e9f), 0xFFFFFFFFu);
  EXPECT_EQ(word_of("cvt.rn.bf16x2.f32 %r9, 0f3F808000, 0f3F818000;"), 0x3F803F82u);  // ties to even
}

TEST_F(MachineTest, IntegersWrapAround) {
  EXPECT_EQ(word_of("mul.hi.u32 %r9, -1, -1;"), 0xFFFFFFFEu);
  EXPECT_EQ(word_of("mul.hi.s32 %r9, -1, 1;"), 0xFFFFFFFFu);
  EXPECT_EQ(word_of("mad.lo.s32 %r9, 65537, 65537, -1;"), 131072u);
  EXPECT_EQ(word_of("div.s32 %r9, -7, 2;"), static_cast<std::uint32_t>(-3));
  EXPECT_EQ(word_of("rem.s32 %r9, -7, 2;"), static_cast<std::uint32_t>(-1));
  EXPECT_EQ(word_of("div.s32 %r9, -2147483648, -1;"), 0x80000000u);
  EXPECT_EQ(word_of("mov.u16 %rs1, -3;\nmul.wide.u16 %r9, %rs1, 2;"), 131066u);
  EXPECT_EQ(word_of("mul.wide.s32 %rd5, -3, 5;\nshr.u64 %rd5, %rd5, 32;\ncvt.u32.u64 %r9, %rd5;"), 0xFFFFFFFFu);
}

TEST_F(MachineTest, BitsOfWords) {
  EXPECT_EQ(word_of("mov.u32 %r5, 1;\nshl.b32 %r9, %r5, 32;"), 0u);
  EXPECT_EQ(word_of("mov.u32 %r5, -8;\nshr.s32 %r9, %r5, 40;"), 0xFFFFFFFFu);
  EXPECT_EQ(word_of("mov.u32 %r5, 6;\nbrev.b32 %r9, %r5;"), 0x60000000u);
  EXPECT_EQ(word_of("mov.u32 %r5, 6;\nclz.b32 %r9, %r5;"), 29u);
  EXPECT_EQ(word_of("mov.u32 %r5, 6;\nbfind.shiftamt.u32 %r9, %r5;"), 29u);
  EXPECT_EQ(word_of("mov.u32 %r5, 0;\nbfind.shiftamt.u32 %r9, %r5;"), 0xFFFFFFFFu);
  EXPECT_EQ(word_of("mov.u32 %r5, 5;\nmov.u32 %r6, -1;\nbfi.b32 %r9, %r5, %r6, 4, 4;"), 0xFFFFFF5Fu);
  EXPECT_EQ(word_of("mov.u32 %r5, 0x33221100;\nmov.u32 %r6, 0x77665584;\nprmt.b32 %r9, %r5, %r6, 0x4C70;"),
            0x84FF7700u);
}

TEST_F(MachineTest, LanesThatBranchApartMeetAgain) {
  // Lane i goes i % 4 times through a loop, then all shuffle together.
  const std::string body =
      "and.b32 %r5, %r1, 3;\nmov.u32 %r6, 0;\n$L_loop:\nsetp.eq.s32 %p1, %r5, 0;\n@%p1 bra $L_done;\n"
      "add.s32 %r6, %r6, %r1;\nsub.s32 %r5, %r5, 1;\nbra.uni $L_loop;\n$L_done:\n"
      "shfl.sync.bfly.b32 %r9, %r6, 1, 31, -1;";
  EXPECT_EQ(words_of(body), of_each_lane([](unsigned i) { return (i ^ 1) * ((i ^ 1) & 3); }));
}

TEST_F(MachineTest, GuardsKeepOtherLanesAsTheyWere) {
  const std::string body =
      "setp.lt.u32 %p1, %r1, 7;\nmov.u32 %r9, 1;\n@%p1 add.s32 %r9, %r9, 5;\n@!%p1 neg.s32 %r9, %r9;";
  EXPECT_EQ(words_of(body, 33), of_each_lane([](unsigned i) { return i < 7 ? 6u : 0xFFFFFFFFu; }, 33));
}

TEST_F(MachineTest, ShufflesWithinSegments) {
  const auto shuffled = [&](const std::string& kind, int by, int clamp) {
    return words_of("shfl.sync." + kind + ".b32 %r5|%p1, %r1, " + std::to_string(by) + ", " + std::to_string(clamp) +
                    ", -1;\nselp.u32 %r6, 100, 0, %p1;\nadd.s32 %r9, %r5, %r6;");
  };
  EXPECT_EQ(shuffled("down", 3, 31), of_each_lane([](unsigned i) { return i + 3 < 32 ? i + 103 : i; }));
  EXPECT_EQ(shuffled("up", 3, 0), of_each_lane([](unsigned i) { return i >= 3 ? i + 97 : i; }));
  EXPECT_EQ(shuffled("bfly", 5, 31), of_each_lane([](unsigned i) { return (i ^ 5) + 100; }));
  EXPECT_EQ(shuffled("idx", 9, 31), of_each_lane([](unsigned) { return 109u; }));
  const int halves = 16 << 8 | 15;  // segments of 16 lanes
  EXPECT_EQ(shuffled("down", 9, halves), of_each_lane([](unsigned i) { return i % 16 + 9 < 16 ? i + 109 : i; }));
  EXPECT_EQ(shuffled("idx", 18, halves), of_each_lane([](unsigned i) { return (i & 16) + 102; }));
}

TEST_F(MachineTest, BallotOfSomeLanes) {
  const std::string body =
      "and.b32 %r5, %r1, 1;\nsetp.eq.s32 %p1, %r5, 1;\nmov.u32 %r9, 7;\nsetp.gt.u32 %p2, %r1, 15;\n@%p2 bra $L_end;\n"
      "vote.sync.ballot.b32 %r9, %p1, 65535;\n$L_end:";
  EXPECT_EQ(words_of(body), of_each_lane([](unsigned i) { return i < 16 ? 0xAAAAu : 7u; }));
}

TEST_F(MachineTest, CallsHaveVariablesOfTheirOwn) {
  const std::string twice =
      ".func (.param .b32 func_retval0) twice(.param .b32 twice_param_0)\n{\n.reg .b32 %r<9>;\n.reg .pred %p<2>;\n"
      "ld.param.u32 %r1, [twice_param_0];\nsetp.eq.s32 %p1, %r1, 3;\n@%p1 bra $L_three;\nadd.s32 %r2, %r1, %r1;\n"
      "st.param.b32 [func_retval0+0], %r2;\nret;\n$L_three:\nst.param.b32 [func_retval0+0], 99;\nret;\n}\n";
  const std::string call =
      "{\n.param .b32 param0;\nst.param.b32 [param0+0], %r5;\n.param .b32 retval0;\ncall.uni (retval0),\ntwice,\n(\n"
      "param0\n);\nld.param.b32 %r5, [retval0+0];\n}\n";
  EXPECT_EQ(words_of("mov.u32 %r5, %r1;\n" + call + call + "add.s32 %r9, %r5, %r1;", 32, twice),
            of_each_lane([](unsigned i) { return (i == 3 ? 198 : 4 * i) + i; }));
}

TEST_F(MachineTest, LocalMemoryIsOfEachThread) {
  const std::string body =
      ".local .align 16 .b8 depot[32];\nmov.b64 %rd5, depot;\ncvta.local.u64 %rd6, %rd5;\nst.local.u32 [%rd5+4], %r1;\n"
      "bar.sync 0;\nst.u32 [%rd6+8], %r1;\nld.u32 %r5, [%rd6+4];\nld.local.u32 %r6, [%rd5+8];\nadd.s32 %r9, %r5, %r6;";
  EXPECT_EQ(words_of(body, 65), of_each_lane([](unsigned i) { return 2 * i; }, 65));
}

TEST_F(MachineTest, SumsOfABlockInEveryOrder) {
  const std::string body =
      "mov.u32 %r5, s;\nshl.b32 %r6, %r1, 2;\nadd.s32 %r5, %r5, %r6;\nst.shared.u32 [%r5], %r1;\nmov.u32 %r7, 128;\n"
      "$L_loop:\nbar.sync 0;\nsetp.ge.u32 %p1, %r1, %r7;\n@%p1 bra $L_skip;\nshl.b32 %r8, %r7, 2;\nadd.s32 %r8, %r5, "
      "%r8;\n"
      "ld.shared.u32 %r10, [%r8];\nld.shared.u32 %r11, [%r5];\nadd.s32 %r11, %r11, %r10;\nst.shared.u32 [%r5], %r11;\n"
      "$L_skip:\nshr.u32 %r7, %r7, 1;\nsetp.ne.s32 %p2, %r7, 0;\n@%p2 bra $L_loop;\nbar.sync 0;\nld.shared.u32 %r9, "
      "[s];";
  for (const Schedule& schedule : some_schedules()) {
    rig_.schedule = schedule;
    EXPECT_EQ(words_of(body, 256, ".shared .align 4 .b8 s[1024];"), Words(256, 255 * 128));
  }
}

TEST_F(MachineTest, ProductsOfTiles) {
  // Lane 4 g + t holds a[g][2 t] ...: all of A are 1 but row 3, which is 2; B[k][n] = n + 1; C = 0.5.
  const std::string body =
      "shr.u32 %r5, %r1, 2;\nsetp.eq.s32 %p1, %r5, 3;\nselp.b32 %r6, 0x40004000, 0x3F803F80, %p1;\n"
      "mov.u32 %r7, 0x3F803F80;\nadd.s32 %r8, %r5, 1;\ncvt.rn.f32.s32 %f1, %r8;\ncvt.rn.bf16x2.f32 %r8, %f1, %f1;\n"
      "mov.f32 %f9, 0f3F000000;\n"
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f2,%f3,%f4,%f5}, {%r6,%r7,%r6,%r7}, {%r8,%r8}, "
      "{%f9,%f9,%f9,%f9};\n";
  const auto expected = [](unsigned row, unsigned column) {
    return std::bit_cast<std::uint32_t>((row == 3 ? 32.0f : 16.0f) * static_cast<float>(column + 1) + 0.5f);
  };
  EXPECT_EQ(words_of(body + "mov.b32 %r9, %f3;"),
            of_each_lane([&](unsigned i) { return expected(i / 4, 2 * (i % 4) + 1); }));
  EXPECT_EQ(words_of(body + "mov.b32 %r9, %f4;"),
            of_each_lane([&](unsigned i) { return expected(i / 4 + 8, 2 * (i % 4)); }));
}

TEST_F(MachineTest, MatricesFromSharedMemory) {
  // Word i of 128: elements 2 i and 2 i + 1. Lane i reads row i, so that matrix m has elements 64 m ... 64 m + 63.
  const auto body = [](const std::string& kind, const std::string& result) {
    return "mov.u32 %r10, s;\nmad.lo.u32 %r11, %r1, 16, %r10;\nshl.b32 %r12, %r1, 3;\nmov.u32 %r13, 0;\n$L_fill:\n"
           "mad.lo.u32 %r14, %r13, 2, %r12;\nshl.b32 %r15, %r14, 16;\nadd.u32 %r15, %r15, 65536;\n"
           "or.b32 %r15, %r15, %r14;\nmad.lo.u32 %r16, %r13, 4, %r11;\nst.shared.u32 [%r16], %r15;\n"
           "add.u32 %r13, %r13, 1;\nsetp.lt.u32 %p1, %r13, 4;\n@%p1 bra $L_fill;\nbar.sync 0;\n"
           "ldmatrix.sync.aligned.m8n8.x4." +
           kind + "shared.b16 {%r5,%r6,%r7,%r8}, [%r11];\nmov.u32 %r9, " + result + ";";
  };
  const std::string declaration = ".shared .align 16 .b8 s[512];";
  EXPECT_EQ(words_of(body("", "%r7"), 32, declaration), of_each_lane([](unsigned i) {
              const unsigned low = 64 * 2 + 8 * (i / 4) + 2 * (i % 4);
              return low | (low + 1) << 16;
            }));
  EXPECT_EQ(words_of(body("trans.", "%r8"), 32, declaration), of_each_lane([](unsigned i) {
              const unsigned low = 64 * 3 + 8 * 2 * (i % 4) + i / 4;
              return low | (low + 8) << 16;
            }));
}

// Names of many registers, few of which are needed at once: also around a loop, where %r20 is carried from turn to
// turn.
TEST_F(MachineTest, RegistersShareSlots) {
  std::string body = "mov.u32 %r20, 1;\nmov.u32 %r21, 0;\n$L_loop:\nadd.s32 %r20, %r20, %r1;\n.reg .b32 %many<500>;\n";
  body += "mov.u32 %many0, %r20;\n";
  for (int i = 1; i < 500; ++i) {
    body += "add.s32 %many" + std::to_string(i) + ", %many" + std::to_string(i - 1) + ", 1;\n";
  }
  body += "add.s32 %r21, %r21, 1;\nsetp.lt.u32 %p1, %r21, 3;\n@%p1 bra $L_loop;\nadd.s32 %r9, %many499, %r20;";
  EXPECT_EQ(words_of(body, 65), of_each_lane([](unsigned i) { return 2 * (3 * i + 1) + 499; }, 65));
  Module module(kernel_text(1, body));
  EXPECT_LT(module.find("k")->code->register_bytes, 30u * 128);
}

TEST_F(MachineTest, AtomicsReturnWhatWasThere) {
  const auto run = [&](const std::string& kind, std::uint32_t start) {
    const std::uint64_t word = rig_.array(Words{start}), out = rig_.array(Words(32));
    rig_.run(kernel_text(2, "add.s32 %r5, %r1, 100;\natom.global." + kind +
                                ".u32 %r6, [%rd1], %r5;\nadd.s64 %rd20, %rd2, %rd11;\nst.global.u32 [%rd20], %r6;"),
             1, 32, {word, out});
    Words all = rig_.values<std::uint32_t>(out, 32);
    all.push_back(rig_.values<std::uint32_t>(word, 1)[0]);
    return all;
  };
  EXPECT_EQ(run("add", 7), of_each_lane([](unsigned i) { return 7 + 100 * i + i * (i - 1) / 2; }, 33));
  EXPECT_EQ(run("max", 104), of_each_lane([](unsigned i) { return i < 5 ? 104u : 99 + i; }, 33));
  EXPECT_EQ(run("min", 104), of_each_lane([](unsigned i) { return i == 0 ? 104u : 100u; }, 33));
}

TEST_F(MachineTest, BlocksOnSeveralHostThreads) {
  const std::uint64_t out = rig_.array(Words(4096 * 32));
  rig_.schedule.host_threads = 2;
  const Statistics statistics =
      rig_.run(kernel_text(1, "add.s64 %rd20, %rd1, %rd10;\nst.global.u32 [%rd20], %r3;"), 4096, 32, {out});
  EXPECT_EQ(rig_.values<std::uint32_t>(out, 4096 * 32), of_each_lane([](unsigned i) { return i; }, 4096 * 32));
  EXPECT_EQ(statistics.lane_instructions, 32 * statistics.instructions);
}

}  // namespace
}  // namespace stampede::soft_gpu
