// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "kernels/error.h"
#include "tests/unit/temporary_folder.h"
#include "train/atomic_file.h"
#include "train/episode_log.h"
#include "train/metrics_writer.h"
#include "train/text_file.h"

namespace stampede {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();
const std::vector<std::string> kNames = {"charts/episodic_return", "losses/value_loss"};

TEST(CsvWriter, WritesRowsWithAFixedHeader) {
  const TemporaryFolder folder;
  {
    CsvWriter csv(folder / "a.csv", {"x", "y"});
    csv.write(1, std::array{0.1, kNan});
    csv.write(200, std::array{std::numeric_limits<double>::infinity(), -1e-7});
    csv.write(4000000000, std::array{123456789.0, 1.0 / 3.0});
  }
  EXPECT_EQ(read_text_file(folder / "a.csv"), "env_step,x,y\n1,0.1,\n200,,-1e-07\n4000000000,123456789,0.333333333\n");
}

TEST(CsvWriter, ResumeCutsLaterAndUnfinishedRows) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.csv";
  for (const std::string& tail : {std::string("30,3\n40,4\n"), std::string("30,3"), std::string("3"), std::string()}) {
    write_file_atomically(path, "env_step,x\n10,1\n20,2\n" + tail);
    { CsvWriter(path, {"x"}, 20).write(25, std::array{2.5}); }
    EXPECT_EQ(read_text_file(path), "env_step,x\n10,1\n20,2\n25,2.5\n") << tail;
  }
  { CsvWriter(path, {"x"}, 0).write(1, std::array{9.0}); }
  EXPECT_EQ(read_text_file(path), "env_step,x\n1,9\n");
}

TEST(CsvWriter, ResumeWithNewColumnsKeepsTheOldOnes) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.csv";
  write_file_atomically(path, "env_step,x,y\n10,1,2\n20,3,4\n");
  { CsvWriter(path, {"z", "y"}, 10).write(15, std::array{7.0, 8.0}); }
  EXPECT_EQ(read_text_file(path), "env_step,x,y,z\n10,1,2,\n15,,8,7\n");
}

TEST(CsvWriter, ResumeOfAMissingOrEmptyFileStartsIt) {
  const TemporaryFolder folder;
  { CsvWriter(folder / "missing.csv", {"x"}, 5); }
  EXPECT_EQ(read_text_file(folder / "missing.csv"), "env_step,x\n");
  write_file_atomically(folder / "empty.csv", "");
  { CsvWriter(folder / "empty.csv", {"x"}, 5); }
  EXPECT_EQ(read_text_file(folder / "empty.csv"), "env_step,x\n");
  write_file_atomically(folder / "half.csv", "env_st");
  { CsvWriter(folder / "half.csv", {"x"}, 5); }
  EXPECT_EQ(read_text_file(folder / "half.csv"), "env_step,x\n");
  write_file_atomically(folder / "foreign.csv", "name,x\na,1\n");
  EXPECT_THROW(CsvWriter(folder / "foreign.csv", {"x"}, 5), RuntimeError);
  EXPECT_EQ(read_text_file(folder / "foreign.csv"), "name,x\na,1\n");
}

TEST(CsvWriter, AFullDiskIsARuntimeError) {
  try {
    CsvWriter csv("/dev/full", {"x"});
    FAIL() << "accepted";
  } catch (const RuntimeError& error) {
    EXPECT_STREQ(error.what(), "cannot write '/dev/full': No space left on device");
  }
  EXPECT_THROW(CsvWriter("/nowhere/a.csv", {"x"}), RuntimeError);
}

TEST(AppendFile, FlushAfterAFullDiskReportsAgain) {
  AppendFile file("/dev/full", AppendFile::Open::kAppend);
  file.append("x");
  EXPECT_THROW(file.flush(), RuntimeError);
  EXPECT_THROW(file.flush(), RuntimeError);
}

TEST(JsonlWriter, EveryLineIsJson) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.jsonl";
  const std::vector<NamedValue> values = {{"charts/SPS", 1.5}, {"odd \"name\"\n\\", -2.0}, {"losses/loss", kNan}};
  { JsonlWriter(path).write(9007199254740993, values); }
  const nlohmann::json row = nlohmann::json::parse(read_text_file(path));
  EXPECT_EQ(row.size(), 4u);
  EXPECT_EQ(row["env_step"].get<std::int64_t>(), 9007199254740993);
  EXPECT_EQ(row["charts/SPS"], 1.5);
  EXPECT_EQ(row["odd \"name\"\n\\"], -2.0);
  EXPECT_TRUE(row["losses/loss"].is_null());
}

TEST(JsonlWriter, ResumeCutsLaterAndUnfinishedLines) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.jsonl";
  const std::string kept = "{\"env_step\":10,\"a\":1}\n{\"env_step\":20,\"a\":2}\n";
  for (const std::string& tail :
       {std::string("{\"env_step\":30,\"a\":3}\n"), std::string("{\"env_st"), std::string("x\n")}) {
    write_file_atomically(path, kept + tail);
    { JsonlWriter(path, 20).write(21, std::vector<NamedValue>{{"a", 5.0}}); }
    EXPECT_EQ(read_text_file(path), kept + "{\"env_step\":21,\"a\":5}\n");
  }
}

TEST(MetricsWriter, OneRowReachesAllThreeFiles) {
  const TemporaryFolder folder;
  {
    MetricsWriter metrics(folder.path(), kNames);
    metrics.write({128, {{"losses/value_loss", 0.5}}});
    metrics.write({256, {{"losses/value_loss", kNan}, {"charts/episodic_return", 20.0}}});
  }
  EXPECT_EQ(read_text_file(folder / "metrics.csv"),
            "env_step,charts/episodic_return,losses/value_loss\n128,,0.5\n256,20,\n");
  EXPECT_EQ(read_text_file(folder / "metrics.jsonl"),
            "{\"env_step\":128,\"losses/value_loss\":0.5}\n"
            "{\"env_step\":256,\"losses/value_loss\":null,\"charts/episodic_return\":20}\n");
  std::size_t event_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    event_files += entry.path().filename().string().find("tfevents") != std::string::npos ? 1u : 0u;
  }
  EXPECT_EQ(event_files, 1u);
}

TEST(MetricsWriter, AResumedRunHasTheFilesOfAnUninterruptedOne) {
  const TemporaryFolder whole, parts;
  const auto row = [](std::int64_t step) {
    return MetricsRow{step, {{"losses/value_loss", 1.0 / static_cast<double>(step)}}};
  };
  {
    MetricsWriter metrics(whole.path(), kNames);
    for (std::int64_t step = 1; step <= 33; ++step) metrics.write(row(step));
  }
  {
    MetricsWriter metrics(parts.path(), kNames);
    for (std::int64_t step = 1; step <= 20; ++step) metrics.write(row(step));
  }
  {
    MetricsWriter metrics(parts.path(), kNames, 16);
    for (std::int64_t step = 17; step <= 33; ++step) metrics.write(row(step));
  }
  EXPECT_EQ(read_text_file(parts / "metrics.csv"), read_text_file(whole / "metrics.csv"));
  EXPECT_EQ(read_text_file(parts / "metrics.jsonl"), read_text_file(whole / "metrics.jsonl"));
}

TEST(MetricsWriter, AnUndeclaredNameIsALogicError) {
  const TemporaryFolder folder;
  MetricsWriter metrics(folder.path(), kNames);
  EXPECT_THROW(metrics.write({1, {{"losses/other", 1.0}}}), std::logic_error);
}

TEST(MetricsWriter, FlushMakesRowsVisible) {
  const TemporaryFolder folder;
  MetricsWriter metrics(folder.path(), {"a"});
  metrics.write({1, {{"a", 2.0}}});
  metrics.flush();
  EXPECT_EQ(read_text_file(folder / "metrics.csv"), "env_step,a\n1,2\n");
}

TEST(EpisodeLog, HasTheDocumentedColumns) {
  const TemporaryFolder folder;
  EpisodeLog episodes(folder.path());
  EvaluationLog evaluations(folder.path());
  episodes.write(31, 12.5, 31);
  evaluations.write(1000, 500.0, 0.0, 100);
  episodes.flush();
  evaluations.flush();
  EXPECT_EQ(read_text_file(folder / "episodes.csv"), "env_step,return,length\n31,12.5,31\n");
  EXPECT_EQ(read_text_file(folder / "evaluations.csv"), "env_step,return_mean,return_std,episodes\n1000,500,0,100\n");
}

}  // namespace
}  // namespace stampede
