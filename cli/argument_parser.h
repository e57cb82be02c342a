// SPDX-License-Identifier: Apache-2.0
// Splits a command line into positionals, declared options and assignments to configuration keys.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stampede {

struct OptionSpec {
  std::string_view name;        // without dashes; '-' and '_' are the same
  std::string_view value_name;  // of its value, "FILE"; empty for a flag
  std::string_view help;
};

struct Assignment {
  std::string name;  // '-' turned into '_'
  std::string text;
};

// What happens to `--name value`, `--name=value` and `name=value` when no option is called `name`.
enum class UnknownOptions : std::uint8_t { kRefuse, kCollect };

// `--name value`, `--name=value` and `name=value` are synonyms. `--help` and `-h` are always known; `--` ends the
// options; `-` is a positional. UsageError for what is not understood, with the nearest known name.
class Arguments {
 public:
  Arguments(std::span<const std::string> words, std::span<const OptionSpec> options,
            UnknownOptions unknown = UnknownOptions::kRefuse);

  bool help() const { return help_; }
  const std::vector<std::string>& positionals() const { return positionals_; }
  // UsageError when there are fewer or more; `usage` completes the message.
  void require_positionals(std::size_t at_least, std::size_t at_most, std::string_view usage) const;

  bool flag(std::string_view name) const;
  std::optional<std::string> value(std::string_view name) const;  // the last one given
  std::vector<std::string> values(std::string_view name) const;   // all of them, in order
  std::optional<std::int64_t> integer(std::string_view name, std::int64_t min, std::int64_t max) const;  // inclusive
  std::optional<double> real(std::string_view name) const;                                               // finite

  const std::vector<Assignment>& assignments() const { return assignments_; }  // collected, in order
  // UsageError for the first assignment to a name outside `keys`; the nearest key or option is named.
  void check_assignments(std::span<const std::string_view> keys) const;

 private:
  const OptionSpec* find(std::string_view name) const;
  const std::vector<std::string>& given(std::string_view name) const;
  std::vector<std::string_view> option_names() const;
  void store(std::string_view name, std::string_view text, std::string_view word);

  std::vector<OptionSpec> options_;
  UnknownOptions unknown_;
  bool help_ = false;
  std::vector<std::string> positionals_;
  std::map<std::string, std::vector<std::string>> values_;  // by declared name
  std::vector<Assignment> assignments_;
};

// "gravity=9.8" as it follows `--option`. UsageError without a name or an equals sign.
Assignment split_assignment(std::string_view option, std::string_view text);

// Usage line, summary and one line per option.
std::string help_text(std::string_view usage, std::string_view summary, std::span<const OptionSpec> options);

}  // namespace stampede
