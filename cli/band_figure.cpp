// SPDX-License-Identifier: Apache-2.0
#include "cli/band_figure.h"

#include <algorithm>

#include "cli/curve_figure.h"
#include "cli/gnuplot.h"
#include "kernels/error.h"

namespace stampede {
namespace {

std::string data_of(const SeedBand& band, std::size_t index) {
  std::string text = "$band" + std::to_string(index) + " << EOD\n";
  for (std::size_t p = 0; p < band.x.size(); ++p) {
    text += plot_number(band.x[p]) + " " + plot_number(band.mean[p]) + " " + plot_number(band.low[p]) + " " +
            plot_number(band.high[p]) + "\n";
  }
  return text + "EOD\n";
}

std::string elements_of(const NamedBand& band, std::size_t index) {
  const std::string data = "$band" + std::to_string(index), color = kPlotColors[index % kPlotColors.size()];
  const std::string dashes = index < kPlotColors.size() ? "1" : "2";
  return data + " using 1:3:4 with filledcurves fs transparent solid 0.15 noborder lc rgb '" + color +
         "' notitle, \\\n" + "     " + data + " using 1:2 with lines lw 2 dt " + dashes + " lc rgb '" + color +
         "' title " + gnuplot_string(band.name);
}

}  // namespace

NamedBand read_band(const std::string& name, const std::vector<std::string>& runs) {
  std::vector<Curve> curves;
  for (const std::string& run : runs) {
    curves.push_back(read_run_curves(run).evaluation_mean);
    if (curves.back().x.empty()) throw UsageError("'" + run + "' holds no evaluation to plot");
  }
  return {name, static_cast<int>(curves.size()), band_of_seeds(curves)};
}

std::string band_figure_script(const std::vector<NamedBand>& bands, std::string_view terminal) {
  std::string script = terminal == "svg"
                           ? "set terminal svg size 900,560 background '#ffffff' noenhanced font 'sans,13'\n"
                           : "set terminal pngcairo size 1200,750 noenhanced font 'sans,13'\n";
  int seeds = 0;
  for (std::size_t i = 0; i < bands.size(); ++i) {
    script += data_of(bands[i].band, i);
    seeds = std::max(seeds, bands[i].seeds);
  }
  script +=
      "set output picture\n"
      "set border 3 lc rgb '#555555'\n"
      "set tics nomirror out textcolor rgb '#333333'\n"
      "set grid lc rgb '#E4E4E4' lt 1 lw 1\n"
      "set key bottom right Left reverse samplen 2 opaque noautotitle\n"
      "set format x '%.0s%c'\n"
      "set offsets graph 0, graph 0, graph 0.05, graph 0.05\n"
      "set xlabel 'environment steps'\n";
  script +=
      "set title " +
      gnuplot_string("Return of evaluations: mean and 95 % bootstrap band over " + std::to_string(seeds) + " seeds") +
      "\n";
  for (std::size_t i = 0; i < bands.size(); ++i)
    script += (i == 0 ? "plot " : ", \\\n     ") + elements_of(bands[i], i);
  return script + "\nset output\n";
}

}  // namespace stampede
