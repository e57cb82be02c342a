// SPDX-License-Identifier: Apache-2.0
#include "train/parse_value.h"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <system_error>

#include "kernels/error.h"

namespace stampede {
namespace {

[[noreturn]] void refuse(std::string_view name, std::string_view text, std::string_view what) {
  throw UsageError(std::string(name) + ": '" + std::string(text) + "' " + std::string(what));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Removes underscores between digits and one leading plus; nothing when an underscore stands elsewhere.
std::optional<std::string> plain_digits(std::string_view text) {
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-' && text[1] != '+') text.remove_prefix(1);
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      plain += text[i];
      continue;
    }
    const bool between = i > 0 && i + 1 < text.size() && is_digit(text[i - 1]) && is_digit(text[i + 1]);
    if (!between) return std::nullopt;
  }
  return plain;
}

double parse_double(std::string_view name, std::string_view text, std::string_view complaint) {
  const std::optional<std::string> plain = plain_digits(text);
  if (!plain) refuse(name, text, complaint);
  double value = 0.0;
  const char* end = plain->data() + plain->size();
  const auto [stop, error] = std::from_chars(plain->data(), end, value);
  if (error == std::errc::invalid_argument || stop != end) refuse(name, text, complaint);
  if (error == std::errc::result_out_of_range) refuse(name, text, "does not fit a double");
  if (std::isnan(value)) refuse(name, text, complaint);
  return value;
}

std::vector<std::string_view> split_list(std::string_view name, std::string_view text) {
  std::string_view body = trimmed(text);
  const bool opened = body.starts_with('[');
  if (opened != (body.ends_with(']') && body.size() > 1)) refuse(name, text, "has an unmatched bracket");
  if (opened) body = trimmed(body.substr(1, body.size() - 2));
  std::vector<std::string_view> items;
  if (opened && body.empty()) return items;
  for (;;) {
    const std::size_t comma = body.find(',');
    items.push_back(trimmed(body.substr(0, comma)));
    if (comma == std::string_view::npos) return items;
    body.remove_prefix(comma + 1);
  }
}

}  // namespace

bool is_utf8(std::string_view text) {
  constexpr std::array<std::uint32_t, 4> kSmallest = {0, 0x80, 0x800, 0x10000};  // by number of continuation bytes
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    const int more = lead < 0x80 ? 0 : (lead >> 5) == 6 ? 1 : (lead >> 4) == 14 ? 2 : (lead >> 3) == 30 ? 3 : -1;
    if (more < 0 || text.size() - i < static_cast<std::size_t>(more)) return false;
    std::uint32_t code = more == 0 ? lead : lead & (0x3fu >> more);
    for (int k = 0; k < more; ++k, ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      if ((byte & 0xc0) != 0x80) return false;
      code = code << 6 | (byte & 0x3fu);
    }
    const bool surrogate = code >= 0xd800 && code < 0xe000;
    if (code < kSmallest[static_cast<std::size_t>(more)] || surrogate || code > 0x10ffff) return false;
  }
  return true;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::int64_t parse_integer(std::string_view name, std::string_view text) {
  constexpr std::string_view kComplaint = "is not a whole number";
  constexpr double kExactLimit = 9007199254740992.0;  // 2^53: beyond it a double skips integers
  const std::string_view body = trimmed(text);
  const std::optional<std::string> plain = plain_digits(body);
  if (!plain) refuse(name, text, kComplaint);
  std::int64_t value = 0;
  const char* end = plain->data() + plain->size();
  const auto [stop, error] = std::from_chars(plain->data(), end, value);
  if (stop == end && error == std::errc()) return value;
  if (stop == end && error == std::errc::result_out_of_range) refuse(name, text, "does not fit 64 bits");
  const double real = parse_double(name, body, kComplaint);
  if (std::isinf(real) || real != std::floor(real)) refuse(name, text, kComplaint);
  if (std::abs(real) > kExactLimit) refuse(name, text, "is too large; write all its digits");
  return static_cast<std::int64_t>(real);
}

double parse_real(std::string_view name, std::string_view text) {
  return parse_double(name, trimmed(text), "is not a number");
}

bool parse_flag(std::string_view name, std::string_view text) {
  const std::string_view body = trimmed(text);
  for (const std::string_view yes : {"true", "True", "1", "on", "yes"}) {
    if (body == yes) return true;
  }
  for (const std::string_view no : {"false", "False", "0", "off", "no"}) {
    if (body == no) return false;
  }
  refuse(name, text, "is neither true nor false");
}

std::vector<std::int64_t> parse_integers(std::string_view name, std::string_view text) {
  std::vector<std::int64_t> values;
  for (const std::string_view item : split_list(name, text)) values.push_back(parse_integer(name, item));
  return values;
}

std::vector<double> parse_reals(std::string_view name, std::string_view text) {
  std::vector<double> values;
  for (const std::string_view item : split_list(name, text)) values.push_back(parse_real(name, item));
  return values;
}

std::string format_real(double value) {
  std::array<char, 32> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), result.ptr};
}

std::string format_significant(double value, int digits) {
  std::array<char, 64> buffer;
  const auto result =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::general, digits);
  return {buffer.data(), result.ptr};
}

}  // namespace stampede
