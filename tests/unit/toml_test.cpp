// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "kernels/error.h"
#include "train/toml_reader.h"

namespace stampede {
namespace {

std::string complaint(std::string_view text) {
  try {
    read_toml(text, "preset.toml");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Toml, EntriesAreFlatAndInFileOrder) {
  const std::vector<TomlEntry> entries = read_toml(
      "total_steps = 100_000  # rows\n"
      "name = 'CartPole-v1'\n"
      "hidden = [64, 32]\n"
      "anneal = false\n"
      "[env]\n"
      "gravity = 9.8\n",
      "preset.toml");
  ASSERT_EQ(entries.size(), 5u);
  EXPECT_EQ(entries[0].name, "total_steps");
  EXPECT_EQ(entries[0].text, "100000");
  EXPECT_EQ(entries[1].text, "CartPole-v1");
  EXPECT_EQ(entries[2].text, "[64, 32]");
  EXPECT_EQ(entries[3].text, "false");
  EXPECT_EQ(entries[4].name, "env.gravity");
  EXPECT_EQ(entries[4].text, "9.8");
  EXPECT_EQ(entries[4].line, 6);
}

TEST(Toml, MalformedTextNamesTheLine) {
  EXPECT_TRUE(complaint("gamma = 0.99\nlambda 0.95\n").starts_with("preset.toml:2: ")) << complaint("a = 1\nb 2\n");
  EXPECT_TRUE(complaint("gamma = 0.99\ngamma = 0.9\n").starts_with("preset.toml:2: "));
  EXPECT_TRUE(complaint("gamma = \n").starts_with("preset.toml:1: "));
  EXPECT_TRUE(complaint("hidden = [64,\n\n").starts_with("preset.toml:"));
}

TEST(Toml, OnlyScalarsAndFlatArrays) {
  EXPECT_TRUE(complaint("a = 1\nborn = 2024-01-01\n").starts_with("preset.toml:2: born: must be a number"));
  EXPECT_TRUE(complaint("hidden = [[1], [2]]\n").starts_with("preset.toml:1: hidden: must be a number"));
  EXPECT_TRUE(complaint("[[layers]]\nwidth = 1\n").starts_with("preset.toml:1: layers: must be a number"));
}

TEST(Toml, QuotedStringsReadBack) {
  std::string every;
  for (int code = 1; code < 128; ++code) every += static_cast<char>(code);
  const std::vector<TomlEntry> entries = read_toml("text = " + toml_string(every), "t");
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].text, every);
}

}  // namespace
}  // namespace stampede
