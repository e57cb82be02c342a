// SPDX-License-Identifier: Apache-2.0
// `plot`: the learning curves of one or several runs as a picture.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <system_error>

#include "cli/argument_parser.h"
#include "cli/band_figure.h"
#include "cli/command.h"
#include "cli/curve_figure.h"
#include "cli/curve_file.h"
#include "cli/gnuplot.h"
#include "kernels/error.h"

namespace stampede {
namespace {

constexpr std::string_view kPlotUsage = "stampede plot RUN... [--bands] [--out FILE.png|FILE.svg]";
constexpr std::string_view kPlotFileUsage = "stampede plot --bands FILE.json [--env ENV] [--only NAME,NAME...]";
constexpr std::string_view kSummary =
    "Draws training return, evaluation return and episode duration of the runs over each other.\n"
    "The picture is curves.png in the run's folder, for several runs in the current one.\n"
    "--bands compares settings instead: each folder that `train --seeds` made is one curve. Curves may come from a\n"
    "JSON file too, such as bench/results/ablation.json.";
constexpr OptionSpec kPlotOptions[] = {
    {"bands", "", "mean evaluation return of each folder's seeds with a 95 % bootstrap band"},
    {"env", "ENV", "which curves of a JSON file that has several environments"},
    {"only", "NAMES", "which curves of a JSON file, comma-separated (default: all)"},
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

std::vector<std::string> split(const std::string& names) {
  std::vector<std::string> parts;
  std::istringstream stream(names);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

void append_file_bands(const std::string& path, const CurveChoice& choice, std::vector<NamedBand>& bands) {
  for (const SettingCurves& setting : choose_curves(read_curve_file(path), choice)) {
    bands.push_back({setting.name, static_cast<int>(setting.seeds.size()), band_of_seeds(setting.seeds)});
  }
}

std::string bands_script(const std::vector<std::string>& sources, const CurveChoice& choice,
                         std::string_view terminal) {
  std::vector<NamedBand> bands;
  for (const std::string& source : sources) {
    if (is_curve_file(source)) {
      append_file_bands(source, choice, bands);
      continue;
    }
    const std::string name = std::filesystem::weakly_canonical(source).filename().string();
    bands.push_back(read_band(name, runs_of(source)));
  }
  return band_figure_script(bands, terminal);
}

// Where a picture goes that nobody named: into the run's folder, or for several runs and for files here.
std::string default_path(const std::vector<std::string>& sources) {
  return sources.size() == 1 && !is_curve_file(sources[0]) ? sources[0] + "/curves.png" : "curves.png";
}

void check_plot_options(const Arguments& arguments) {
  const auto& sources = arguments.positionals();
  const bool files = std::any_of(sources.begin(), sources.end(), is_curve_file);
  if (files && !arguments.flag("bands")) throw UsageError("usage: " + std::string(kPlotFileUsage));
  for (const char* option : {"env", "only"}) {
    if (!files && arguments.value(option)) {
      throw UsageError("--" + std::string(option) + ": chooses among the curves of a JSON file, and none was given");
    }
  }
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
  check_plot_options(arguments);
  const std::vector<std::string>& sources = arguments.positionals();
  const std::string path = arguments.value("out").value_or(default_path(sources));
  const std::string_view terminal = terminal_of(path);
  const CurveChoice choice{arguments.value("env").value_or(""), split(arguments.value("only").value_or(""))};
  run_gnuplot(find_gnuplot(),
              arguments.flag("bands") ? bands_script(sources, choice, terminal) : curves_script(sources, terminal),
              path);
  out << path << '\n';
  return 0;
}

}  // namespace stampede
