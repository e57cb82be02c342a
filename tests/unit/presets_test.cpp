// SPDX-License-Identifier: Apache-2.0
// The presets in the program: every file is in use, loads, and makes a trainer; names choose among them.
#include "train/presets.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "kernels/error.h"
#include "train/session.h"

namespace stampede {
namespace {

std::string refusal(const char* algorithm, const char* env, const char* preset) {
  try {
    make_config(find_algorithm(algorithm), builtin_environments().find(env), preset);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Presets, ANameLiesOverTheUsualSettings) {
  const EnvRegistry environments = builtin_environments();
  const EnvEntry& env = environments.find("CartPole-v1");
  const AlgorithmEntry& ppo = find_algorithm("ppo");
  const Config usual = make_config(ppo, env), large = make_config(ppo, env, "8192");
  EXPECT_EQ(usual.integer("num_envs"), 8);
  EXPECT_EQ(large.integer("num_envs"), 8192);
  EXPECT_EQ(large.source("num_envs"), ConfigLayer::kPreset);
  EXPECT_EQ(large.resolved_text("clip"), usual.resolved_text("clip")) << "not in the file";
  EXPECT_EQ(make_config(ppo, env, "1024").integer("num_envs"), 1024);
  EXPECT_EQ(make_config(ppo, env, "65536").integer("num_envs"), 65536);
}

TEST(Presets, AnUnknownNameNamesThoseThereAre) {
  const std::string message = refusal("ppo", "CartPole-v1", "4096");
  EXPECT_NE(message.find("'4096'"), std::string::npos) << message;
  EXPECT_NE(message.find("1024, 8192, 65536"), std::string::npos) << message;
  EXPECT_NE(refusal("ppo", "Taxi-v4", "1024").find("none by name"), std::string::npos);
  EXPECT_NE(refusal("ppo_kl", "CartPole-v1", "1024").find("none by name"), std::string::npos)
      << "tuned for one algorithm";
}

// A file whose name fits no algorithm or environment would never be read.
TEST(Presets, EveryFileIsReachedByItsName) {
  const EnvRegistry environments = builtin_environments();
  std::set<std::string> reached;
  for (const AlgorithmEntry& algorithm : algorithms()) {
    for (const std::string_view id : {algorithm.program, algorithm.id}) {
      reached.emplace(id);
      for (const EnvEntry& env : environments.entries()) reached.insert(std::string(id) + "_" + env.spec.id);
    }
    for (const EnvEntry& env : environments.entries()) {
      for (const std::string_view name : named_presets(algorithm, env)) {
        reached.insert(std::string(algorithm.id) + "_" + env.spec.id + "@" + std::string(name));
      }
    }
  }
  for (const Preset& preset : builtin_presets()) EXPECT_TRUE(reached.contains(std::string(preset.name))) << preset.name;
}

TEST(Presets, EveryNameMakesATrainer) {
  const EnvRegistry environments = builtin_environments();
  int made = 0;
  for (const AlgorithmEntry& algorithm : algorithms()) {
    for (const EnvEntry& env : environments.entries()) {
      for (const std::string_view name : named_presets(algorithm, env)) {
        const Config config = make_config(algorithm, env, name);
        EXPECT_NO_THROW(algorithm.make({config, env, {}, Stream::cpu(1), network_factory(config)}))
            << algorithm.id << " " << env.spec.id << " " << name;
        ++made;
      }
    }
  }
  EXPECT_GE(made, 3);
}

}  // namespace
}  // namespace stampede
