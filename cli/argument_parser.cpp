// SPDX-License-Identifier: Apache-2.0
#include "cli/argument_parser.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "kernels/error.h"
#include "kernels/nearest_match.h"
#include "train/parse_value.h"

namespace stampede {
namespace {

std::string underscored(std::string_view name) {
  std::string result(name);
  std::replace(result.begin(), result.end(), '-', '_');
  return result;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// Length of the name in `name=value`, 0 for anything else (a path with an equals sign, a number).
std::size_t assigned_name_size(std::string_view word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos || equals == 0 || !is_letter(word[0])) return 0;
  const auto part_of_name = [](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-'; };
  const std::string_view name = word.substr(0, equals);
  return std::all_of(name.begin(), name.end(), part_of_name) ? equals : 0;
}

// "; did you mean '--quiet'?", with dashes where the word has them; nothing where no name is near.
std::string suggestion(std::string_view word, std::string_view name, std::span<const std::string_view> known) {
  const auto nearest = nearest_match(name, known);
  if (!nearest) return "";
  return "; did you mean '" + std::string(word.starts_with("--") ? "--" : "") + std::string(*nearest) + "'?";
}

}  // namespace

Arguments::Arguments(std::span<const std::string> words, std::span<const OptionSpec> options, UnknownOptions unknown)
    : options_(options.begin(), options.end()), unknown_(unknown) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--help" || word == "-h") {
      help_ = true;
    } else if (word == "--") {
      positionals_.insert(positionals_.end(), words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      return;
    } else if (word.starts_with("--")) {
      const std::size_t equals = word.find('=');
      const std::string_view name = word.substr(2, equals == std::string_view::npos ? equals : equals - 2);
      const OptionSpec* option = find(name);
      if (!option && unknown_ == UnknownOptions::kRefuse) store(name, "", word.substr(0, equals));
      if (equals != std::string_view::npos) {
        store(name, word.substr(equals + 1), word.substr(0, equals));
      } else if (option && option->value_name.empty()) {
        store(name, "true", word);
      } else {
        const bool missing = i + 1 == words.size() || words[i + 1].starts_with("--");
        if (missing) {
          const std::string meant = option ? "" : suggestion(word, name, option_names());
          throw UsageError("option '" + std::string(word) + "' needs a value" + meant);
        }
        store(name, words[++i], word);
      }
    } else if (const std::size_t size = assigned_name_size(word); size > 0) {
      store(word.substr(0, size), word.substr(size + 1), word.substr(0, size));
    } else if (word.starts_with('-') && word.size() > 1) {
      throw UsageError("unknown option '" + std::string(word) + "'; options start with two dashes (--help lists all)");
    } else {
      positionals_.emplace_back(word);
    }
  }
}

void Arguments::store(std::string_view name, std::string_view text, std::string_view word) {
  if (const OptionSpec* option = find(name)) {
    const bool is_flag = option->value_name.empty();
    values_[underscored(name)].emplace_back(is_flag ? (parse_flag(word, text) ? "true" : "false") : text);
    return;
  }
  if (unknown_ == UnknownOptions::kCollect) {
    assignments_.push_back({underscored(name), std::string(text)});
    return;
  }
  throw UsageError("unknown option '" + std::string(word) + "'" + suggestion(word, name, option_names()) +
                   " (--help lists all)");
}

std::vector<std::string_view> Arguments::option_names() const {
  std::vector<std::string_view> names = {"help"};
  for (const OptionSpec& option : options_) names.push_back(option.name);
  return names;
}

const OptionSpec* Arguments::find(std::string_view name) const {
  for (const OptionSpec& option : options_) {
    if (underscored(option.name) == underscored(name)) return &option;
  }
  return nullptr;
}

void Arguments::require_positionals(std::size_t at_least, std::size_t at_most, std::string_view usage) const {
  if (positionals_.size() < at_least) throw UsageError("too few arguments; usage: " + std::string(usage));
  if (positionals_.size() <= at_most) return;
  throw UsageError("unexpected argument '" + positionals_[at_most] + "'; usage: " + std::string(usage));
}

const std::vector<std::string>& Arguments::given(std::string_view name) const {
  static const std::vector<std::string> kNone;
  if (!find(name)) throw std::logic_error("option '" + std::string(name) + "' is not declared");
  const auto found = values_.find(underscored(name));
  return found == values_.end() ? kNone : found->second;
}

bool Arguments::flag(std::string_view name) const { return !given(name).empty() && given(name).back() == "true"; }

std::optional<std::string> Arguments::value(std::string_view name) const {
  if (given(name).empty()) return std::nullopt;
  return given(name).back();
}

std::vector<std::string> Arguments::values(std::string_view name) const { return given(name); }

std::optional<std::int64_t> Arguments::integer(std::string_view name, std::int64_t min, std::int64_t max) const {
  const std::optional<std::string> text = value(name);
  if (!text) return std::nullopt;
  const std::string option = "--" + std::string(name);
  const std::int64_t number = parse_integer(option, *text);
  if (number >= min && number <= max) return number;
  throw UsageError(option + ": " + *text + " is out of range [" + std::to_string(min) + ", " + std::to_string(max) +
                   "]");
}

std::optional<double> Arguments::real(std::string_view name) const {
  const std::optional<std::string> text = value(name);
  if (!text) return std::nullopt;
  const std::string option = "--" + std::string(name);
  const double number = parse_real(option, *text);
  if (std::isinf(number)) throw UsageError(option + ": " + *text + " is not finite");
  return number;
}

void Arguments::check_assignments(std::span<const std::string_view> keys) const {
  for (const Assignment& assignment : assignments_) {
    if (std::find(keys.begin(), keys.end(), assignment.name) != keys.end()) continue;
    std::vector<std::string_view> known(keys.begin(), keys.end());
    for (const OptionSpec& option : options_) known.push_back(option.name);
    throw UsageError(unknown_name_message("key", assignment.name, known));
  }
}

Assignment split_assignment(std::string_view option, std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals != std::string_view::npos && equals > 0) {
    return {underscored(text.substr(0, equals)), std::string(text.substr(equals + 1))};
  }
  throw UsageError("--" + std::string(option) + ": '" + std::string(text) + "' is not NAME=VALUE");
}

std::string help_text(std::string_view usage, std::string_view summary, std::span<const OptionSpec> options) {
  const OptionSpec help{"help", "", "show this text"};
  std::vector<OptionSpec> all(options.begin(), options.end());
  all.push_back(help);
  const auto left_side = [](const OptionSpec& option) {
    std::string text = "--" + std::string(option.name);
    if (!option.value_name.empty()) text += " " + std::string(option.value_name);
    return text;
  };
  std::size_t width = 0;
  for (const OptionSpec& option : all) width = std::max(width, left_side(option).size());
  std::string text = "usage: " + std::string(usage) + "\n\n" + std::string(summary) + "\n\noptions:\n";
  for (const OptionSpec& option : all) {
    const std::string left = left_side(option);
    text += "  " + left + std::string(width + 2 - left.size(), ' ') + std::string(option.help) + "\n";
  }
  return text;
}

}  // namespace stampede
