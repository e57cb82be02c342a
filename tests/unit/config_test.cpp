// SPDX-License-Identifier: Apache-2.0
#include "train/config.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <stdexcept>

#include "kernels/error.h"
#include "tests/unit/temporary_folder.h"
#include "train/atomic_file.h"
#include "train/parse_value.h"

namespace stampede {
namespace {

constexpr ConfigKey kKeys[] = {
    {.name = "num_envs", .type = ConfigType::kInteger, .default_text = "8", .min = 1, .max = 16777216, .help = "width"},
    {.name = "learning_rate", .default_text = "3e-4", .min = 0, .max = 1, .above_min = true},
    {.name = "gamma", .default_text = "0.99", .min = 0, .max = 1},
    {.name = "target_kl", .default_text = "inf", .min = 0, .allow_infinity = true},
    {.name = "anneal", .type = ConfigType::kFlag, .default_text = "true"},
    {.name = "run_name", .type = ConfigType::kText, .default_text = ""},
    {.name = "optimizer", .type = ConfigType::kChoice, .default_text = "adam", .choices = "adam|adamw|rmsprop"},
    {.name = "hidden", .type = ConfigType::kIntegerList, .default_text = "64,64", .min = 1, .max = 4096},
};
constexpr ConfigKey kEnvironmentKeys[] = {
    {.name = "gravity", .default_text = "9.8"},
    {.name = "reward_schedule", .type = ConfigType::kRealList, .default_text = "1,0,0", .items = 3},
};

Config declared() {
  Config config;
  config.declare(kKeys);
  config.declare(kEnvironmentKeys, "env.");
  return config;
}

std::string complaint(std::string_view name, std::string_view text) {
  Config config = declared();
  try {
    config.set(name, text, ConfigLayer::kCommandLine);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Config, DefaultsHaveTheirTypes) {
  const Config config = declared();
  EXPECT_EQ(config.integer("num_envs"), 8);
  EXPECT_DOUBLE_EQ(config.real("learning_rate"), 3e-4);
  EXPECT_TRUE(config.flag("anneal"));
  EXPECT_EQ(config.text("run_name"), "");
  EXPECT_EQ(config.text("optimizer"), "adam");
  EXPECT_EQ(config.integers("hidden"), (std::vector<std::int64_t>{64, 64}));
  EXPECT_EQ(config.reals("env.reward_schedule"), (std::vector<double>{1, 0, 0}));
  EXPECT_EQ(config.source("gamma"), ConfigLayer::kDefault);
}

TEST(Config, LaterLayerWinsInAnyOrder) {
  Config config = declared();
  config.set("gamma", "0.5", ConfigLayer::kCommandLine);
  config.set("gamma", "0.7", ConfigLayer::kPreset);
  EXPECT_DOUBLE_EQ(config.real("gamma"), 0.5);
  EXPECT_EQ(config.source("gamma"), ConfigLayer::kCommandLine);
  config.set("num_envs", "31", ConfigLayer::kPreset);
  EXPECT_EQ(config.integer("num_envs"), 31);
  EXPECT_EQ(config.source("num_envs"), ConfigLayer::kPreset);
}

TEST(Config, IntegersComeInSeveralForms) {
  Config config = declared();
  for (const std::string_view text : {"100000", "100_000", "1e5", "+100000", " 100000 ", "100000.0"}) {
    config.set("num_envs", "1", ConfigLayer::kCommandLine);
    config.set("num_envs", text, ConfigLayer::kCommandLine);
    EXPECT_EQ(config.integer("num_envs"), 100000) << text;
  }
  EXPECT_EQ(config.resolved_text("num_envs"), "100000");
}

TEST(Config, RefusesBadValuesWithTheKeyAndTheRange) {
  EXPECT_EQ(complaint("num_envs", "0"), "num_envs: 0 is out of range [1, 16777216]");
  EXPECT_EQ(complaint("num_envs", "-1"), "num_envs: -1 is out of range [1, 16777216]");
  EXPECT_EQ(complaint("num_envs", "1.5"), "num_envs: '1.5' is not a whole number");
  EXPECT_EQ(complaint("num_envs", "1__0"), "num_envs: '1__0' is not a whole number");
  EXPECT_EQ(complaint("num_envs", ""), "num_envs: '' is not a whole number");
  EXPECT_EQ(complaint("num_envs", "99999999999999999999"), "num_envs: '99999999999999999999' does not fit 64 bits");
  EXPECT_EQ(complaint("learning_rate", "abc"), "learning_rate: 'abc' is not a number");
  EXPECT_EQ(complaint("learning_rate", "1e-3x"), "learning_rate: '1e-3x' is not a number");
  EXPECT_EQ(complaint("learning_rate", "0"), "learning_rate: 0 is out of range (0, 1]");
  EXPECT_EQ(complaint("learning_rate", "nan"), "learning_rate: 'nan' is not a number");
  EXPECT_EQ(complaint("gamma", "inf"), "gamma: inf is not finite");
  EXPECT_EQ(complaint("target_kl", "inf"), "accepted");
  EXPECT_EQ(complaint("target_kl", "nan"), "target_kl: 'nan' is not a number");
  EXPECT_EQ(complaint("anneal", "maybe"), "anneal: 'maybe' is neither true nor false");
  EXPECT_EQ(complaint("optimizer", "adan"),
            "optimizer: unknown choice 'adan'; did you mean 'adam'? Known choices: adam, adamw, rmsprop");
  EXPECT_EQ(complaint("hidden", "64,0"), "hidden: 0 is out of range [1, 4096]");
  EXPECT_EQ(complaint("hidden", "64,"), "hidden: '' is not a whole number");
  EXPECT_EQ(complaint("hidden", "[64"), "hidden: '[64' has an unmatched bracket");
  EXPECT_EQ(complaint("hidden", "[]"), "accepted");
  EXPECT_EQ(complaint("run_name", "caf\xc3\xa9"), "accepted");
  EXPECT_EQ(complaint("run_name", "caf\xe9"), "run_name: the text is not valid UTF-8");
  EXPECT_EQ(complaint("env.reward_schedule", "1,0"), "env.reward_schedule: expects 3 items, got 2");
}

TEST(ParseValue, Utf8IsWellFormed) {
  for (const std::string_view good : {"", "a", "\xc2\x80", "\xe2\x82\xac", "\xf0\x9f\x90\x82", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const std::string_view bad :
       {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

TEST(Config, UnknownKeyNamesTheNearest) {
  EXPECT_TRUE(complaint("gama", "1").starts_with("unknown key 'gama'; did you mean 'gamma'? Known keys: num_envs, "));
  EXPECT_EQ(complaint("gravity", "1"), "unknown key 'gravity'; did you mean 'env.gravity'?");
  EXPECT_TRUE(complaint("zzzzzzzz", "1").starts_with("unknown key 'zzzzzzzz'; known keys: num_envs, "));
}

TEST(Config, ARefusedValueChangesNothing) {
  Config config = declared();
  EXPECT_THROW(config.set("gamma", "2", ConfigLayer::kCommandLine), UsageError);
  EXPECT_DOUBLE_EQ(config.real("gamma"), 0.99);
  EXPECT_EQ(config.source("gamma"), ConfigLayer::kDefault);
}

TEST(Config, MisuseIsALogicError) {
  Config config = declared();
  EXPECT_THROW(config.integer("gamma"), std::logic_error);
  EXPECT_THROW(config.real("missing"), std::logic_error);
  EXPECT_THROW(config.declare(kKeys), std::logic_error);
  constexpr ConfigKey kBadDefault[] = {{.name = "bad", .type = ConfigType::kInteger, .default_text = "x"}};
  EXPECT_THROW(config.declare(kBadDefault), UsageError);
}

TEST(Config, TomlIsStable) {
  Config config = declared();
  config.set("run_name", "a \"b\"\n", ConfigLayer::kCommandLine);
  config.set("env.gravity", "10", ConfigLayer::kCommandLine);
  EXPECT_EQ(config.to_toml(),
            "num_envs = 8\n"
            "learning_rate = 3e-04\n"
            "gamma = 0.99\n"
            "target_kl = inf\n"
            "anneal = true\n"
            "run_name = \"a \\\"b\\\"\\u000A\"\n"
            "optimizer = \"adam\"\n"
            "hidden = [64, 64]\n"
            "\n"
            "[env]\n"
            "gravity = 10.0\n"
            "reward_schedule = [1.0, 0.0, 0.0]\n");
}

TEST(Config, TomlRoundTripKeepsEveryValue) {
  Config config = declared();
  config.set("learning_rate", "0.00012345678901234567", ConfigLayer::kCommandLine);
  config.set("hidden", "[]", ConfigLayer::kCommandLine);
  config.set("run_name", "x\t\\y", ConfigLayer::kCommandLine);
  config.set("num_envs", "16777216", ConfigLayer::kCommandLine);
  Config again = declared();
  again.load_toml(config.to_toml(), "run.toml", ConfigLayer::kFile);
  EXPECT_EQ(again.to_toml(), config.to_toml());
  EXPECT_EQ(again.real("learning_rate"), config.real("learning_rate"));
  EXPECT_EQ(again.source("hidden"), ConfigLayer::kFile);
}

TEST(Config, TomlErrorsNameFileAndLine) {
  const TemporaryFolder folder;
  const std::string path = folder / "preset.toml";
  write_file_atomically(path, "num_envs = 8\n\n[env]\ngravty = 1.0\n");
  Config config = declared();
  try {
    config.load_toml_file(path, ConfigLayer::kFile);
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_TRUE(
        std::string(error.what()).starts_with(path + ":4: unknown key 'env.gravty'; did you mean 'env.gravity'?"))
        << error.what();
  }
  EXPECT_THROW(config.load_toml_file(folder / "missing.toml", ConfigLayer::kFile), UsageError);
}

TEST(Config, DescriptionListsEveryKey) {
  const std::string text = declared().describe_keys();
  EXPECT_NE(text.find("  num_envs             width; [1, 16777216], default 8\n"), std::string::npos) << text;
  EXPECT_NE(text.find("adam | adamw | rmsprop, default adam"), std::string::npos) << text;
}

}  // namespace
}  // namespace stampede
