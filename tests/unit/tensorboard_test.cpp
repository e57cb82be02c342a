// SPDX-License-Identifier: Apache-2.0
// The expected bytes were produced by the protobuf messages and the record writer of tensorboard 2.21.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <vector>

#include "kernels/error.h"
#include "tests/unit/temporary_folder.h"
#include "train/crc32c.h"
#include "train/tensorboard_writer.h"
#include "train/text_file.h"

namespace stampede {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    std::array<char, 3> digits;
    std::snprintf(digits.data(), digits.size(), "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    text += digits.data();
  }
  return text;
}

std::vector<std::string> event_files(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// The data of every record; checks lengths and checksums on the way.
std::vector<std::string> records_of(const std::string& bytes) {
  std::vector<std::string> records;
  for (std::size_t place = 0; place < bytes.size();) {
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data() + place, sizeof length);
    const std::string data = bytes.substr(place + 12, length);
    EXPECT_EQ(hex(encode_record(data)), hex(bytes.substr(place, length + 16)));
    records.push_back(data);
    place += length + 16;
  }
  return records;
}

TEST(Crc32c, KnownAnswers) {
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283u);
  EXPECT_EQ(crc32c("", 0), 0u);
  const std::vector<unsigned char> zeros(32, 0), ones(32, 0xff);
  EXPECT_EQ(crc32c(zeros.data(), 32), 0x8a9136aau);
  EXPECT_EQ(crc32c(ones.data(), 32), 0x62a8ab43u);
}

TEST(Crc32c, ContinuesAtAnyByte) {
  std::string text;
  for (int i = 0; i < 257; ++i) text += static_cast<char>(i * 7);
  const std::uint32_t whole = crc32c(text.data(), text.size());
  for (const std::size_t cut : {0, 1, 7, 8, 31, 33, 256, 257}) {
    EXPECT_EQ(crc32c(text.data() + cut, text.size() - cut, crc32c(text.data(), cut)), whole) << cut;
  }
}

TEST(TensorBoard, EventsHaveTheKnownBytes) {
  const std::vector<NamedValue> scalars = {{"charts/SPS", 1.25}, {"losses/value_loss", -3.0}};
  EXPECT_EQ(hex(encode_version_event(1.5)), "09000000000000f83f1a0d627261696e2e4576656e743a32");
  EXPECT_EQ(
      hex(encode_scalar_event(2.5, 300, scalars)),
      "09000000000000044010ac022a2d0a110a0a6368617274732f535053150000a03f0a180a116c6f737365732f76616c75655f6c6f7373"
      "15000040c0");
  EXPECT_EQ(hex(encode_purge_event(3.5, 301)), "090000000000000c4010ad023a020801");
  EXPECT_EQ(hex(encode_record(encode_version_event(1.5))),
            "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c");
}

TEST(TensorBoard, ValuesThatAreNotFiniteAreLeftOut) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<NamedValue> all = {{"a", nan}, {"b", 1.0}, {"c", infinity}};
  const std::vector<NamedValue> finite = {{"b", 1.0}};
  EXPECT_EQ(hex(encode_scalar_event(0.0, 1, all)), hex(encode_scalar_event(0.0, 1, finite)));
}

TEST(TensorBoard, FileHoldsVersionAndRows) {
  const TemporaryFolder folder;
  const std::vector<NamedValue> scalars = {{"charts/SPS", 1.25}};
  {
    TensorBoardWriter writer(folder.path());
    writer.write(7, scalars);
  }
  const std::vector<std::string> files = event_files(folder.path());
  ASSERT_EQ(files.size(), 1u);
  const std::vector<std::string> records = records_of(read_text_file(files[0]));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].substr(9), encode_version_event(0.0).substr(9));
  EXPECT_EQ(records[1].substr(9), encode_scalar_event(0.0, 7, scalars).substr(9));
}

TEST(TensorBoard, ResumeStartsALaterFileThatPurges) {
  const TemporaryFolder folder;
  { TensorBoardWriter first(folder.path()); }
  { TensorBoardWriter second(folder.path(), 128); }
  const std::vector<std::string> files = event_files(folder.path());
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(records_of(read_text_file(files[0])).size(), 1u);
  const std::vector<std::string> records = records_of(read_text_file(files[1]));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].substr(9), encode_purge_event(0.0, 129).substr(9));
}

TEST(TensorBoard, MissingFolderIsARuntimeError) {
  const TemporaryFolder folder;
  EXPECT_THROW(TensorBoardWriter(folder / "missing"), RuntimeError);
}

}  // namespace
}  // namespace stampede
