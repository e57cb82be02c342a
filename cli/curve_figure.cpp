// SPDX-License-Identifier: Apache-2.0
#include "cli/curve_figure.h"

#include <algorithm>
#include <filesystem>

#include "cli/gnuplot.h"
#include "kernels/error.h"

namespace stampede {
namespace {

constexpr std::size_t kWindow = 100;       // episodes of the running mean
constexpr std::size_t kDots = 4000;        // more would be a solid block
constexpr std::size_t kLinePoints = 1500;  // about one per pixel

void append_block(std::string& script, const std::string& name, const Curve& curve, const Curve* width = nullptr) {
  script += "$" + name + " << EOD\n";
  for (std::size_t i = 0; i < curve.x.size(); ++i) {
    script += plot_number(curve.x[i]) + " " + plot_number(curve.y[i]);
    if (width) script += " " + plot_number(i < width->y.size() ? width->y[i] : 0.0);
    script += "\n";
  }
  script += "EOD\n";
}

std::string block(std::string_view kind, std::size_t run) { return std::string(kind) + std::to_string(run); }

void append_data(std::string& script, const std::vector<RunCurves>& runs) {
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const RunCurves& run = runs[i];
    append_block(script, block("return_dots", i), thinned(run.episode_return, kDots));
    append_block(script, block("return_mean", i), thinned(moving_mean(run.episode_return, kWindow), kLinePoints));
    append_block(script, block("length_dots", i), thinned(run.episode_length, kDots));
    append_block(script, block("length_mean", i), thinned(moving_mean(run.episode_length, kWindow), kLinePoints));
    append_block(script, block("evaluation", i), run.evaluation_mean, &run.evaluation_deviation);
  }
}

class Panel {
 public:
  explicit Panel(std::string_view title) : head_("set title " + gnuplot_string(title) + "\n") {}

  void add(const std::string& element) { elements_ += (elements_.empty() ? "" : ", \\\n     ") + element; }

  // Axes without data still need a range.
  std::string script() const {
    if (!elements_.empty()) return head_ + "plot " + elements_ + "\n";
    return head_ + "set label 1 'no data yet' at graph 0.5,0.5 center textcolor '#888888'\n" +
           "plot [][0:1] NaN notitle\nunset label 1\n";
  }

 private:
  std::string head_;
  std::string elements_;
};

std::string panel_of_episodes(const std::vector<RunCurves>& runs, std::string_view title, const std::string& kind,
                              Curve RunCurves::*curve) {
  Panel panel(title);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if ((runs[i].*curve).x.empty()) continue;
    const std::string faint = std::string(runs.size() == 1 ? "#A0" : "#D8") + (kPlotColors[i % kPlotColors.size()] + 1);
    panel.add("$" + block(kind + "_dots", i) + " using 1:2 with points pt 7 ps 0.25 lc rgb '" + faint + "' notitle");
  }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if ((runs[i].*curve).x.empty()) continue;
    panel.add("$" + block(kind + "_mean", i) + " using 1:2 with lines lw 2 lc rgb '" +
              kPlotColors[i % kPlotColors.size()] + "' title " + gnuplot_string(runs[i].name));
  }
  return panel.script();
}

std::string panel_of_evaluations(const std::vector<RunCurves>& runs) {
  Panel panel("Return of evaluations (band: one standard deviation)");
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (runs[i].evaluation_mean.x.empty()) continue;
    const std::string data = "$" + block("evaluation", i);
    const std::string color = kPlotColors[i % kPlotColors.size()];
    panel.add(data + " using 1:($2-$3):($2+$3) with filledcurves fs transparent solid 0.15 noborder lc rgb '" + color +
              "' notitle");
    panel.add(data + " using 1:2 with linespoints lw 2 pt 7 ps 0.5 lc rgb '" + color + "' title " +
              gnuplot_string(runs[i].name));
  }
  return panel.script();
}

double last_step(const std::vector<RunCurves>& runs) {
  double last = 1.0;
  for (const RunCurves& run : runs) {
    for (const Curve* curve : {&run.episode_return, &run.evaluation_mean}) {
      if (!curve->x.empty()) last = std::max(last, curve->x.back());
    }
  }
  return last;
}

Curve curve_if(const std::string& path, std::string_view column) {
  return std::filesystem::is_regular_file(path) ? read_curve(path, column) : Curve{};
}

}  // namespace

RunCurves read_run_curves(const std::string& folder) {
  const std::filesystem::path path(folder);
  if (!std::filesystem::is_directory(path)) throw UsageError("'" + folder + "' is not a run folder");
  RunCurves run;
  run.name = std::filesystem::weakly_canonical(path).filename().string();
  const std::string episodes = folder + "/episodes.csv";
  const std::string metrics = folder + "/metrics.csv";
  const bool has_episodes = std::filesystem::is_regular_file(episodes);
  run.episode_return = has_episodes ? read_curve(episodes, "return") : curve_if(metrics, "charts/episodic_return");
  run.episode_length = has_episodes ? read_curve(episodes, "length") : curve_if(metrics, "charts/episodic_length");
  run.evaluation_mean = curve_if(folder + "/evaluations.csv", "return_mean");
  run.evaluation_deviation = curve_if(folder + "/evaluations.csv", "return_std");
  if (!run.episode_return.x.empty() || !run.evaluation_mean.x.empty()) return run;
  throw UsageError("'" + folder + "' holds no finished episode or evaluation to plot");
}

std::string curve_figure_script(const std::vector<RunCurves>& runs, std::string_view terminal) {
  std::string script = terminal == "svg"
                           ? "set terminal svg size 900,1000 background '#ffffff' noenhanced font 'sans,13'\n"
                           : "set terminal pngcairo size 1200,1350 noenhanced font 'sans,13'\n";
  append_data(script, runs);
  script +=
      "set output picture\n"
      "set border 3 lc rgb '#555555'\n"
      "set tics nomirror out textcolor rgb '#333333'\n"
      "set grid lc rgb '#E4E4E4' lt 1 lw 1\n"
      "set key bottom right Left reverse samplen 2 opaque noautotitle\n"
      "set autoscale yfix\n"
      "set format x '%.0s%c'\n"
      "set offsets graph 0, graph 0, graph 0.05, graph 0.05\n"
      "set lmargin 10\n"
      "set rmargin 3\n";
  const std::string name = runs.size() == 1 ? runs[0].name : std::to_string(runs.size()) + " runs";
  script += "set xrange [0:" + plot_number(last_step(runs)) + "] noextend\n";
  if (runs.size() == 1) script += "unset key\n";
  script += "set multiplot layout 3,1 title " + gnuplot_string(name) + " font ',17'\n";
  script += panel_of_episodes(runs, "Return of training episodes (line: mean of the last 100)", "return",
                              &RunCurves::episode_return);
  script += "unset key\n";
  script += panel_of_evaluations(runs);
  script += "set xlabel 'environment steps'\n";
  script += panel_of_episodes(runs, "Duration of training episodes in steps (line: mean of the last 100)", "length",
                              &RunCurves::episode_length);
  return script + "unset multiplot\nset output\n";
}

}  // namespace stampede
