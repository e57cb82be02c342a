// SPDX-License-Identifier: Apache-2.0
#include "cli/curve_file.h"

#include <gtest/gtest.h>

#include "kernels/error.h"
#include "tests/unit/temporary_folder.h"
#include "train/atomic_file.h"

namespace stampede {
namespace {

constexpr const char* kTwoWorlds = R"({"settings": [
  {"env": "CartPole-v1", "setting": "dqn", "seeds": [{"seed": 1, "env_step": [5, 9], "return_mean": [20.5, 30]},
                                                     {"seed": 2, "env_step": [6, 8], "return_mean": [21, 31]}]},
  {"env": "CartPole-v1", "setting": "ppo", "seeds": [{"seed": 1, "env_step": [7], "return_mean": [40]}]},
  {"env": "Acrobot-v1", "setting": "dqn", "seeds": [{"seed": 1, "env_step": [7], "return_mean": [-90]}]}]})";

std::vector<SettingCurves> curves_in(const std::string& text) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "curves.json", text);
  return read_curve_file(folder / "curves.json");
}

std::string choice_error(const CurveChoice& choice) {
  try {
    choose_curves(curves_in(kTwoWorlds), choice);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(CurveFile, HoldsEverySeedOfEverySetting) {
  const std::vector<SettingCurves> settings = curves_in(kTwoWorlds);
  ASSERT_EQ(settings.size(), 3u);
  EXPECT_EQ(settings[0].env, "CartPole-v1");
  EXPECT_EQ(settings[0].name, "dqn");
  ASSERT_EQ(settings[0].seeds.size(), 2u);
  EXPECT_EQ(settings[0].seeds[1].x, (std::vector<double>{6, 8}));
  EXPECT_EQ(settings[0].seeds[0].y, (std::vector<double>{20.5, 30}));
}

TEST(CurveFile, ChoosesByEnvironmentAndNameInTheOrderAsked) {
  const std::vector<SettingCurves> chosen = choose_curves(curves_in(kTwoWorlds), {"CartPole-v1", {"ppo", "dqn"}});
  ASSERT_EQ(chosen.size(), 2u);
  EXPECT_EQ(chosen[0].name, "ppo");
  EXPECT_EQ(chosen[1].seeds.size(), 2u);
  EXPECT_EQ(choose_curves(curves_in(kTwoWorlds), {"Acrobot-v1", {}}).size(), 1u);
}

TEST(CurveFile, SaysWhatThereIsToChoose) {
  EXPECT_NE(choice_error({}).find("CartPole-v1, Acrobot-v1"), std::string::npos) << choice_error({});
  EXPECT_NE(choice_error({"Pendulum-v1", {}}).find("CartPole-v1, Acrobot-v1"), std::string::npos);
  EXPECT_NE(choice_error({"CartPole-v1", {"sac"}}).find("'sac'; there are: dqn, ppo"), std::string::npos);
}

TEST(CurveFile, RefusesWhatIsNone) {
  EXPECT_THROW(read_curve_file("/nowhere/curves.json"), UsageError);
  for (const char* text :
       {"", "[1, 2", "[]", "{}", R"({"settings": 1})", R"({"settings": [{"env": "E", "setting": "S", "seeds": []}]})",
        R"({"settings": [{"env": "E", "setting": "S", "seeds": [{"env_step": [1, 2], "return_mean": [1]}]}]})",
        R"({"settings": [{"env": "E", "setting": "S", "seeds": [{"env_step": ["x"], "return_mean": [1]}]}]})"}) {
    EXPECT_THROW(curves_in(text), RuntimeError) << text;
  }
}

// The committed figure of Rainbow's parts can be drawn again.
TEST(CurveFile, TheCommittedAblationIsOne) {
  const std::vector<SettingCurves> all = read_curve_file(STAMPEDE_SOURCE_DIR "/bench/results/ablation.json");
  const std::vector<SettingCurves> chosen = choose_curves(all, {"MountainCar-v0", {}});
  ASSERT_EQ(chosen.size(), 7u);
  for (const SettingCurves& setting : chosen) EXPECT_GE(setting.seeds.size(), 10u) << setting.name;
}

}  // namespace
}  // namespace stampede
