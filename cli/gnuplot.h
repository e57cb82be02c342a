// SPDX-License-Identifier: Apache-2.0
// Draws a picture by handing a script to the gnuplot program.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace stampede {

// Path of gnuplot among the folders of PATH. RuntimeError that says how to install it when there is none.
std::string find_gnuplot();

// Runs `script`, which must draw to its variable `picture`; the file replaces `path` when gnuplot has succeeded.
// RuntimeError with gnuplot's own last line when it has not.
void run_gnuplot(const std::string& program, std::string_view script, const std::string& path);

// Okabe and Ito's colours, which stay apart for colour-blind eyes, the pale ones left out.
inline constexpr std::array<const char*, 7> kPlotColors = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                           "#E69F00", "#56B4E9", "#4D4D4D"};

// A number as a script reads it, to 7 significant digits.
std::string plot_number(double value);

// Single-quoted for a script; control characters become blanks.
std::string gnuplot_string(std::string_view text);

}  // namespace stampede
