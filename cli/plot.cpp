// SPDX-License-Identifier: Apache-2.0
// `plot`: the learning curves of one or several runs as a picture.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <system_error>

#include "cli/argument_parser.h"
#include "cli/band_figure.h"
#include "cli/command.h"
#include "cli/curve_figure.h"
#include "cli/gnuplot.h"
#include "kernels/error.h"

namespace stampede {
namespace {

constexpr std::string_view kPlotUsage = "stampede plot RUN... [--bands] [--out FILE.png|FILE.svg]";
constexpr std::string_view kSummary =
    "Draws training return, evaluation return and episode duration of the runs over each other.\n"
    "The picture is curves.png in the run's folder, for several runs in the current one.\n"
    "--bands compares settings instead: each folder that `train --seeds` made is one curve.";
constexpr OptionSpec kPlotOptions[] = {
    {"bands", "", "mean evaluation return of each folder's seeds with a 95 % bootstrap band"},
    {"out", "FILE", "where to draw; .png or .svg"},
};

std::string_view terminal_of(const std::string& path) {
  if (path.ends_with(".png")) return "png";
  if (path.ends_with(".svg")) return "svg";
  throw UsageError("--out: '" + path + "' must end in .png or .svg");
}

// A folder that `train --seeds` made stands for the runs in it.
std::vector<std::string> runs_of(const std::string& folder) {
  std::vector<std::string> runs;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory(error) && name.starts_with("seed_")) runs.push_back(entry.path().string());
  }
  std::sort(runs.begin(), runs.end());
  if (runs.empty()) runs.push_back(folder);
  return runs;
}

std::string curves_script(const std::vector<std::string>& folders, std::string_view terminal) {
  std::vector<RunCurves> runs;
  for (const std::string& folder : folders) {
    for (const std::string& run : runs_of(folder)) runs.push_back(read_run_curves(run));
  }
  return curve_figure_script(runs, terminal);
}

std::string bands_script(const std::vector<std::string>& folders, std::string_view terminal) {
  std::vector<NamedBand> bands;
  for (const std::string& folder : folders) {
    const std::string name = std::filesystem::weakly_canonical(folder).filename().string();
    bands.push_back(read_band(name, runs_of(folder)));
  }
  return band_figure_script(bands, terminal);
}

}  // namespace

int plot_command(const CommandContext&, std::span<const std::string> words) {
  std::ostream& out = std::cout;
  const Arguments arguments(words, kPlotOptions);
  if (arguments.help()) {
    out << help_text(kPlotUsage, kSummary, kPlotOptions);
    return 0;
  }
  constexpr std::size_t kMostRuns = 100;
  arguments.require_positionals(1, kMostRuns, kPlotUsage);
  const std::vector<std::string>& folders = arguments.positionals();
  const std::string path =
      arguments.value("out").value_or(folders.size() == 1 ? folders[0] + "/curves.png" : "curves.png");
  const std::string_view terminal = terminal_of(path);
  run_gnuplot(find_gnuplot(),
              arguments.flag("bands") ? bands_script(folders, terminal) : curves_script(folders, terminal), path);
  out << path << '\n';
  return 0;
}

}  // namespace stampede
