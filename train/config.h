// SPDX-License-Identifier: Apache-2.0
// The configuration of a run: declared, typed, range-checked keys whose values come in layers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stampede {

enum class ConfigType : std::uint8_t { kInteger, kReal, kFlag, kText, kChoice, kIntegerList, kRealList };

// A later layer hides an earlier one, in whatever order they are set.
enum class ConfigLayer : std::uint8_t { kDefault, kPreset, kFile, kCommandLine };

std::string_view layer_name(ConfigLayer layer);  // "default", "preset", "file", "command line"

// Declares one key. The views must live until `Config::declare` returns, which copies them.
struct ConfigKey {
  static constexpr double kUnbounded = std::numeric_limits<double>::infinity();

  std::string_view name;
  ConfigType type = ConfigType::kReal;
  std::string_view default_text;
  double min = -kUnbounded;       // inclusive; of every item for lists
  double max = kUnbounded;        // inclusive
  std::string_view choices = {};  // kChoice: "adam|adamw|rmsprop"
  std::string_view help = {};
  bool above_min = false;       // min itself is refused
  bool allow_infinity = false;  // inf and -inf within [min, max] are accepted; nan never is
  std::size_t items = 0;        // exact length of a list, 0 = any
};

struct NamedText {
  std::string_view name, text;
};

class Config {
 public:
  // Appends keys, their names behind `prefix` ("env."). std::logic_error for a name declared twice; UsageError for a
  // default that its own declaration refuses.
  void declare(std::span<const ConfigKey> keys, std::string_view prefix = {});

  // Checks and stores one value. UsageError: unknown key (nearest named), wrong type, out of range.
  void set(std::string_view name, std::string_view text, ConfigLayer layer);
  // Sets every entry of a TOML text or file. UsageError with file and line.
  void load_toml(std::string_view toml, std::string_view origin, ConfigLayer layer,
                 std::span<const NamedText> fixed = {});
  // `fixed` are entries that the file may hold, which are no keys; UsageError when their text is another.
  void load_toml_file(const std::string& path, ConfigLayer layer, std::span<const NamedText> fixed = {});

  // Resolved values. std::logic_error when the key is not declared with that type.
  std::int64_t integer(std::string_view name) const;
  double real(std::string_view name) const;
  bool flag(std::string_view name) const;
  std::string text(std::string_view name) const;  // kText and kChoice
  std::vector<std::int64_t> integers(std::string_view name) const;
  std::vector<double> reals(std::string_view name) const;

  bool has(std::string_view name) const;
  std::vector<std::string_view> names() const;             // in order of declaration
  ConfigLayer source(std::string_view name) const;         // the layer the resolved value comes from
  std::string resolved_text(std::string_view name) const;  // canonical: "100000" for 1e5, "[64, 64]" for 64,64

  // Resolved values as TOML: plain keys, then one table per prefix, in order of declaration.
  std::string to_toml() const;
  // One line per key: name, default, range or choices, help.
  std::string describe_keys() const;

 private:
  struct Key {
    std::string name;
    ConfigType type;
    double min;
    double max;
    std::vector<std::string> choices;
    std::string help;
    bool above_min;
    bool allow_infinity;
    std::size_t items;
    std::array<std::optional<std::string>, 4> layers;  // canonical text by ConfigLayer
  };

  template <typename Values, typename ToText>
  static std::string canonical_list(const Key& key, const Values& values, ToText to_text);
  static std::string canonical(const Key& key, std::string_view text);
  static void check_range(const Key& key, double value, std::string_view text);
  static std::string range_text(const Key& key);
  static const std::string& resolved(const Key& key);
  const Key* find(std::string_view name) const;
  const Key& require(std::string_view name) const;
  const Key& require(std::string_view name, ConfigType type) const;
  [[noreturn]] void refuse_unknown(std::string_view name) const;

  std::vector<Key> keys_;
};

}  // namespace stampede
