// SPDX-License-Identifier: Apache-2.0
// Turns text from the command line and from files into numbers, and numbers into text that reads back the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stampede {

// Every parser names `name` in its message and throws UsageError for text that is not a value of its type.
// Underscores between digits are ignored. Locale does not matter.
std::int64_t parse_integer(std::string_view name, std::string_view text);  // 100000, 100_000, 1e5
double parse_real(std::string_view name, std::string_view text);           // finite, or inf and -inf; never nan
bool parse_flag(std::string_view name, std::string_view text);             // true false, on off, yes no, 1 0
std::vector<std::int64_t> parse_integers(std::string_view name, std::string_view text);  // "64,64", "[64, 64]", "[]"
std::vector<double> parse_reals(std::string_view name, std::string_view text);           // "1,0,0", "[1, 0, 0]", "[]"

std::string format_real(double value);                     // shortest text that parses to the same double
std::string format_significant(double value, int digits);  // rounded to `digits` significant digits
bool is_utf8(std::string_view text);                       // well-formed, as TOML and JSON demand
std::string_view trimmed(std::string_view text);           // without blanks at either end

}  // namespace stampede
