// SPDX-License-Identifier: Apache-2.0
#include "cli/curve_figure.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "cli/gnuplot.h"
#include "kernels/error.h"
#include "tests/unit/temporary_folder.h"
#include "train/atomic_file.h"
#include "train/text_file.h"

namespace stampede {
namespace {

bool gnuplot_is_here() {
  try {
    find_gnuplot();
  } catch (const RuntimeError&) {
    return false;
  }
  return true;
}

std::string complaint(const std::string& script, const std::string& path) {
  try {
    run_gnuplot(find_gnuplot(), script, path);
  } catch (const RuntimeError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(CurveFigure, ReadsARun) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "episodes.csv", "env_step,return,length\n10,-5,31\n20,-4,33\n");
  write_file_atomically(folder / "evaluations.csv", "env_step,return_mean,return_std,episodes\n15,-3,0.5,100\n");
  const RunCurves run = read_run_curves(folder.path() + "/");
  EXPECT_EQ(folder.path(), (std::filesystem::temp_directory_path() / run.name).string());
  EXPECT_EQ(run.episode_return.y, (std::vector<double>{-5, -4}));
  EXPECT_EQ(run.episode_length.y, (std::vector<double>{31, 33}));
  EXPECT_EQ(run.evaluation_mean.y, (std::vector<double>{-3}));
  EXPECT_EQ(run.evaluation_deviation.y, (std::vector<double>{0.5}));
}

TEST(CurveFigure, FallsBackToTheMetrics) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "metrics.csv", "env_step,charts/episodic_length,charts/episodic_return\n1,,\n2,9,8\n");
  EXPECT_EQ(read_run_curves(folder.path()).episode_return.y, (std::vector<double>{8}));
  EXPECT_EQ(read_run_curves(folder.path()).episode_length.y, (std::vector<double>{9}));
}

TEST(CurveFigure, RefusesWhatIsNoRun) {
  const TemporaryFolder folder;
  EXPECT_THROW(read_run_curves(folder / "missing"), UsageError);
  EXPECT_THROW(read_run_curves(folder.path()), UsageError);
  write_file_atomically(folder / "episodes.csv", "env_step,return,length\n");
  EXPECT_THROW(read_run_curves(folder.path()), UsageError);
}

TEST(CurveFigure, DrawsOneRunSeveralRunsAndMissingCurves) {
  if (!gnuplot_is_here()) GTEST_SKIP() << "gnuplot is not installed";
  const TemporaryFolder folder;
  RunCurves run{.name = "it's a \"run\"_1",
                .episode_return = {},
                .episode_length = {},
                .evaluation_mean = {},
                .evaluation_deviation = {}};
  for (int i = 0; i < 257; ++i) {
    run.episode_return.x.push_back(31.0 * i);
    run.episode_return.y.push_back(i % 33);
  }
  run.episode_length = run.episode_return;
  RunCurves single{.name = "single",
                   .episode_return = {},
                   .episode_length = {},
                   .evaluation_mean = {{7}, {500}},
                   .evaluation_deviation = {{7}, {0}}};
  for (const std::vector<RunCurves>& runs : {std::vector{run}, {single}, {run, single}}) {
    run_gnuplot(find_gnuplot(), curve_figure_script(runs, "png"), folder / "it's.png");
    EXPECT_TRUE(read_text_file(folder / "it's.png").starts_with("\x89PNG\r\n\x1a\n"));
    run_gnuplot(find_gnuplot(), curve_figure_script(runs, "svg"), folder / "a.svg");
    EXPECT_NE(read_text_file(folder / "a.svg").find("<svg"), std::string::npos);
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 2);
}

TEST(CurveFigure, AFailureKeepsTheOldPicture) {
  if (!gnuplot_is_here()) GTEST_SKIP() << "gnuplot is not installed";
  const TemporaryFolder folder;
  write_file_atomically(folder / "a.png", "old");
  EXPECT_TRUE(
      complaint("set output picture\nplot nonsense(\n", folder / "a.png").starts_with("gnuplot could not draw "));
  EXPECT_TRUE(complaint("print 1\n", folder / "a.png").starts_with("gnuplot could not draw "));
  EXPECT_EQ(read_text_file(folder / "a.png"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  EXPECT_TRUE(complaint("print 1\n", folder / "missing/a.png").starts_with("cannot write "));
}

TEST(CurveFigure, StringsAreQuotedForTheScript) { EXPECT_EQ(gnuplot_string("it's\n'x'"), "'it''s ''x'''"); }

}  // namespace
}  // namespace stampede
