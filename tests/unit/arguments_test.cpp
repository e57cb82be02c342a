// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <stdexcept>

#include "cli/argument_parser.h"
#include "kernels/error.h"

namespace stampede {
namespace {

constexpr OptionSpec kOptions[] = {
    {"json", "", "print one JSON object"},
    {"stop-at", "RETURN", "stop there"},
    {"param", "NAME=VALUE", "environment parameter"},
    {"steps", "K", "how many"},
};

Arguments parse(const std::vector<std::string>& words, UnknownOptions unknown = UnknownOptions::kRefuse) {
  return {words, kOptions, unknown};
}

std::string complaint(const std::vector<std::string>& words, UnknownOptions unknown = UnknownOptions::kRefuse) {
  try {
    parse(words, unknown);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Arguments, ThreeSpellingsAreSynonyms) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--stop-at", "475"},
                                                {"--stop-at=475"},
                                                {"stop-at=475"},
                                                {"stop_at=475"},
                                                {"--stop_at", "475"}}) {
    const Arguments arguments = parse(words);
    EXPECT_EQ(arguments.value("stop-at"), "475") << words[0];
    EXPECT_EQ(arguments.real("stop-at"), 475.0) << words[0];
    EXPECT_TRUE(arguments.positionals().empty()) << words[0];
  }
}

TEST(Arguments, FlagsPositionalsAndRepeats) {
  const Arguments arguments =
      parse({"CartPole-v1", "--param", "g=1", "--json", "-", "param=h=2", "a/b=c", "--stop-at", "-5"});
  EXPECT_TRUE(arguments.flag("json"));
  EXPECT_FALSE(arguments.help());
  EXPECT_EQ(arguments.positionals(), (std::vector<std::string>{"CartPole-v1", "-", "a/b=c"}));
  EXPECT_EQ(arguments.values("param"), (std::vector<std::string>{"g=1", "h=2"}));
  EXPECT_EQ(arguments.real("stop-at"), -5.0);
  EXPECT_EQ(arguments.value("steps"), std::nullopt);
  EXPECT_FALSE(parse({"--json", "--json=false"}).flag("json"));
  EXPECT_FALSE(parse({}).flag("json"));
}

TEST(Arguments, TheLastOfARepeatedOptionCounts) {
  EXPECT_EQ(parse({"--steps", "1", "steps=2"}).integer("steps", 0, 9), 2);
}

TEST(Arguments, DoubleDashEndsTheOptions) {
  const Arguments arguments = parse({"a", "--", "--json", "steps=3"});
  EXPECT_FALSE(arguments.flag("json"));
  EXPECT_EQ(arguments.positionals(), (std::vector<std::string>{"a", "--json", "steps=3"}));
}

TEST(Arguments, HelpIsAlwaysKnown) {
  EXPECT_TRUE(parse({"--help"}).help());
  EXPECT_TRUE(parse({"x", "-h"}).help());
}

TEST(Arguments, UnknownOptionsAreRefusedWithTheNearest) {
  EXPECT_EQ(complaint({"--jsn"}), "unknown option '--jsn'; did you mean '--json'? (--help lists all)");
  EXPECT_EQ(complaint({"--stop=3"}), "unknown option '--stop'; did you mean '--steps'? (--help lists all)");
  EXPECT_EQ(complaint({"stepps=3"}), "unknown option 'stepps'; did you mean 'steps'? (--help lists all)");
  EXPECT_EQ(complaint({"--quux"}), "unknown option '--quux' (--help lists all)");
  EXPECT_EQ(complaint({"-x"}), "unknown option '-x'; options start with two dashes (--help lists all)");
}

TEST(Arguments, BadValuesAreRefused) {
  EXPECT_EQ(complaint({"--steps"}), "option '--steps' needs a value");
  EXPECT_EQ(complaint({"--steps", "--json"}), "option '--steps' needs a value");
  EXPECT_EQ(complaint({"--json=perhaps"}), "--json: 'perhaps' is neither true nor false");
  EXPECT_THROW(parse({"--steps", "10"}).integer("steps", 0, 9), UsageError);
  EXPECT_THROW(parse({"--steps", "1.5"}).integer("steps", 0, 9), UsageError);
  EXPECT_THROW(parse({"--stop-at", "inf"}).real("stop-at"), UsageError);
  EXPECT_THROW(parse({}).value("undeclared"), std::logic_error);
}

TEST(Arguments, KeysAreCollectedAndChecked) {
  const Arguments arguments = parse(
      {"ppo", "--num-envs", "8", "CartPole-v1", "gamma=0.9", "--env.gravity=10", "--json"}, UnknownOptions::kCollect);
  EXPECT_EQ(arguments.positionals(), (std::vector<std::string>{"ppo", "CartPole-v1"}));
  ASSERT_EQ(arguments.assignments().size(), 3u);
  EXPECT_EQ(arguments.assignments()[0].name, "num_envs");
  EXPECT_EQ(arguments.assignments()[0].text, "8");
  EXPECT_EQ(arguments.assignments()[1].name, "gamma");
  EXPECT_EQ(arguments.assignments()[2].name, "env.gravity");
  constexpr std::string_view kAll[] = {"num_envs", "gamma", "env.gravity"};
  EXPECT_NO_THROW(arguments.check_assignments(kAll));
  constexpr std::string_view kSome[] = {"num_envs", "env.gravity"};
  EXPECT_THROW(arguments.check_assignments(kSome), UsageError);
  EXPECT_EQ(complaint({"--num-envs"}, UnknownOptions::kCollect), "option '--num-envs' needs a value");
  EXPECT_EQ(complaint({"ppo", "--jsn"}, UnknownOptions::kCollect),
            "option '--jsn' needs a value; did you mean '--json'?");
}

TEST(Arguments, CountsPositionals) {
  EXPECT_THROW(parse({"a"}).require_positionals(2, 2, "train ALGO ENV"), UsageError);
  EXPECT_NO_THROW(parse({"a", "b"}).require_positionals(2, 2, "train ALGO ENV"));
  try {
    parse({"a", "b", "c"}).require_positionals(2, 2, "train ALGO ENV");
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "unexpected argument 'c'; usage: train ALGO ENV");
  }
}

TEST(Arguments, SplitsAssignments) {
  const Assignment assignment = split_assignment("param", "map=SF=G");
  EXPECT_EQ(assignment.name, "map");
  EXPECT_EQ(assignment.text, "SF=G");
  EXPECT_THROW(split_assignment("param", "gravity"), UsageError);
  EXPECT_THROW(split_assignment("param", "=3"), UsageError);
}

TEST(Arguments, HelpAlignsTheOptions) {
  EXPECT_EQ(help_text("stampede x", "Does x.", std::span(kOptions).first(2)),
            "usage: stampede x\n\nDoes x.\n\noptions:\n"
            "  --json            print one JSON object\n"
            "  --stop-at RETURN  stop there\n"
            "  --help            show this text\n");
}

}  // namespace
}  // namespace stampede
