// SPDX-License-Identifier: Apache-2.0
// Names and numbers that users write: what the registry takes, what it refuses and how it says so.
#include "sim/registry.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "kernels/error.h"

namespace stampede {
namespace {

ParamInfo unbounded(ParamInfo::Kind kind) {
  constexpr double kMost = std::numeric_limits<double>::max();
  return {"p", "", "", kind, -kMost, kMost};
}

std::string refusal(const auto& work) {
  try {
    work();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Registry, TakesEveryIdOnce) {
  EnvRegistry registry;
  EnvEntry entry;
  entry.spec.id = "One-v0";
  registry.add(entry);
  EXPECT_THROW(registry.add(entry), RuntimeError);
  EXPECT_EQ(registry.entries().size(), 1u);
  EXPECT_EQ(refusal([&] { registry.find("One-v1"); }),
            "unknown environment 'One-v1'; did you mean 'One-v0'? Known environments: One-v0");
}

TEST(Registry, IntegersAreWholeAndFit32Bits) {
  const ParamInfo info = unbounded(ParamInfo::Kind::kInteger);
  EXPECT_EQ(parse_integer_param(info, "-2147483647"), -2147483647);
  for (const char* bad : {"1.5", "2147483648", "-1e10", "", "1 ", "one"}) {
    EXPECT_THROW(parse_integer_param(info, bad), UsageError) << bad;
  }
}

TEST(Registry, NumbersAreFiniteIn32Bits) {
  const ParamInfo info = unbounded(ParamInfo::Kind::kReal);
  EXPECT_EQ(parse_real_param(info, "-0.25"), -0.25f);
  EXPECT_EQ(refusal([&] { parse_real_param(info, "1e39"); }), "env.p: 1e39 does not fit 32 bits");
  EXPECT_EQ(refusal([&] { parse_real_param(info, "inf"); }), "env.p: 'inf' is not a finite number");
}

TEST(Registry, RangesIncludeTheirEnds) {
  const ParamInfo info{"p", "", "", ParamInfo::Kind::kReal, -1.0, 2.5};
  EXPECT_EQ(parse_real_param(info, "-1"), -1.0f);
  EXPECT_EQ(parse_real_param(info, "2.5"), 2.5f);
  EXPECT_EQ(refusal([&] { parse_real_param(info, "2.6"); }), "env.p: 2.6 is out of range [-1, 2.5]");
}

TEST(Registry, FlagsHaveThreeSpellings) {
  const ParamInfo info = unbounded(ParamInfo::Kind::kFlag);
  for (const char* text : {"true", "True", "1"}) EXPECT_TRUE(parse_flag_param(info, text)) << text;
  for (const char* text : {"false", "False", "0"}) EXPECT_FALSE(parse_flag_param(info, text)) << text;
  EXPECT_EQ(refusal([&] { parse_flag_param(info, "yes"); }), "env.p: 'yes' is neither true nor false");
}

TEST(Registry, ListsMayBeWrittenAsTomlArrays) {
  using Items = std::vector<std::string_view>;
  EXPECT_EQ(split_list("1,2"), (Items{"1", "2"}));
  EXPECT_EQ(split_list("[1 ,  2 ]"), (Items{"1", "2"}));
  EXPECT_EQ(split_list("1,"), (Items{"1", ""}));
  EXPECT_EQ(parse_number_list("p", "[1, -0.5]", 2), (std::vector<double>{1.0, -0.5}));
  EXPECT_THROW(parse_number_list("p", "1,2,3", 2), UsageError);
  EXPECT_THROW(parse_number_list("p", "1,1e39", 2), UsageError);
}

TEST(Registry, TextsOfFloatsAreTheShortest) {
  EXPECT_EQ(shortest_text(9.8f), "9.8");
  EXPECT_EQ(shortest_text(0.1f), "0.1");
}

}  // namespace
}  // namespace stampede
