// SPDX-License-Identifier: Apache-2.0
#include "train/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <stdexcept>

#include "kernels/error.h"
#include "tests/unit/temporary_folder.h"
#include "train/atomic_file.h"
#include "train/text_file.h"

namespace stampede {
namespace {

const std::vector<float> kWeights = {1.5f, -2.0f, 0.0f, 3.0f, 1e-30f, -0.0f};
const std::vector<std::uint8_t> kFlags = {1, 2, 255};
const std::vector<std::int64_t> kSteps = {-9007199254740993};

std::vector<TensorSource> some_tensors() {
  return {{"flags", TensorType::kU8, {3}, kFlags.data()},
          {"weights", TensorType::kF32, {2, 3}, kWeights.data()},
          {"nothing", TensorType::kU32, {0, 4}, nullptr},
          {"steps", TensorType::kI64, {}, kSteps.data()}};
}

std::string with_header(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
  return bytes + header + data;
}

std::string complaint(const std::string& path) {
  try {
    const SafetensorsFile file(path);
    for (const auto& [name, entry] : file.tensors()) {
      std::vector<std::byte> bytes(entry.size);
      file.read(name, entry.type, entry.shape, bytes.data());
    }
  } catch (const RuntimeError& error) {
    const std::string message = error.what();
    const std::string start = "cannot read '" + path + "': ";
    EXPECT_TRUE(message.starts_with(start)) << message;
    return message.substr(start.size());
  }
  return "accepted";
}

class Safetensors : public testing::Test {
 protected:
  std::string complaint_about(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary) << bytes;
    return complaint(path_);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "checkpoint.safetensors";
};

TEST_F(Safetensors, RoundTrip) {
  write_safetensors(path_, some_tensors(), {{"format", "test"}, {"text", "a \"b\"\n"}});
  const SafetensorsFile file(path_);
  EXPECT_EQ(file.metadata(), (Metadata{{"format", "test"}, {"text", "a \"b\"\n"}}));
  EXPECT_EQ(file.require_metadata("format"), "test");
  EXPECT_THROW(file.require_metadata("version"), RuntimeError);
  EXPECT_EQ(file.tensors().size(), 4u);
  std::vector<float> weights(6);
  file.read("weights", TensorType::kF32, {2, 3}, weights.data());
  EXPECT_EQ(std::memcmp(weights.data(), kWeights.data(), 24), 0);
  std::int64_t step = 0;
  file.read("steps", TensorType::kI64, {}, &step);
  EXPECT_EQ(step, kSteps[0]);
  file.read("nothing", TensorType::kU32, {0, 4}, nullptr);
}

TEST_F(Safetensors, BytesDependOnTheArgumentsAlone) {
  write_safetensors(path_, some_tensors(), {{"a", "b"}});
  write_safetensors(folder_ / "other", some_tensors(), {{"a", "b"}});
  EXPECT_EQ(read_text_file(path_), read_text_file(folder_ / "other"));
  EXPECT_EQ(read_text_file(path_).find("stampede_test"), std::string::npos);
}

TEST_F(Safetensors, TensorsAreAlignedToTheirElements) {
  write_safetensors(path_, some_tensors(), {});
  const SafetensorsFile file(path_);
  for (const auto& [name, entry] : file.tensors()) {
    EXPECT_EQ(entry.begin % tensor_type_size(entry.type), 0u) << name;
  }
}

// Written by the Python package safetensors 0.6: save({"w": arange(3, float32)}, metadata={"a": "b"}).
TEST_F(Safetensors, ReadsAFileOfTheReferenceImplementation) {
  std::string header = R"({"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})";
  ASSERT_EQ(header.size(), 80u);
  const std::vector<float> values = {0.0f, 1.0f, 2.0f};
  write_file_atomically(path_, with_header(header, {reinterpret_cast<const char*>(values.data()), 12}));
  const SafetensorsFile file(path_);
  EXPECT_EQ(file.require_metadata("a"), "b");
  std::vector<float> read(3);
  file.read("w", TensorType::kF32, {3}, read.data());
  EXPECT_EQ(read, values);
}

TEST_F(Safetensors, LargeTensorsGoInPieces) {
  std::vector<std::uint32_t> values(3 * (1 << 20) + 257);
  std::iota(values.begin(), values.end(), 7u);
  const auto fill = [&](std::uint64_t offset, std::span<std::byte> chunk) {
    std::memcpy(chunk.data(), reinterpret_cast<const std::byte*>(values.data()) + offset, chunk.size());
  };
  const TensorShape shape = {values.size()};
  write_safetensors(path_, std::vector<TensorSource>{{"v", TensorType::kU32, shape, nullptr, fill}}, {});
  write_safetensors(folder_ / "whole", std::vector<TensorSource>{{"v", TensorType::kU32, shape, values.data()}}, {});
  EXPECT_EQ(read_text_file(path_), read_text_file(folder_ / "whole"));
  std::vector<std::uint32_t> read(values.size());
  int pieces = 0;
  SafetensorsFile(path_).read(
      "v", TensorType::kU32, shape, [&](std::uint64_t offset, std::span<const std::byte> chunk) {
        std::memcpy(reinterpret_cast<std::byte*>(read.data()) + offset, chunk.data(), chunk.size());
        ++pieces;
      });
  EXPECT_EQ(read, values);
  EXPECT_EQ(pieces, 4);
}

TEST_F(Safetensors, EveryTruncationIsRefused) {
  write_safetensors(path_, some_tensors(), {{"a", "b"}});
  const std::string bytes = read_text_file(path_);
  for (std::size_t size = bytes.size(); size-- > 0;) {
    std::filesystem::resize_file(path_, size);
    EXPECT_NE(complaint(path_), "accepted") << size;
  }
  EXPECT_EQ(complaint_about(bytes), "accepted");
  EXPECT_EQ(complaint_about(bytes + "x"), "1 bytes follow the last tensor");
  EXPECT_EQ(complaint_about(bytes.substr(0, bytes.size() - 1)),
            "truncated: " + std::to_string(bytes.size() - 1) + " of " + std::to_string(bytes.size()) + " bytes");
}

TEST_F(Safetensors, EveryFlippedBitIsRefused) {
  write_safetensors(path_, some_tensors(), {{"seed", "1"}});
  const std::string bytes = read_text_file(path_);
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  const auto put = [&](std::size_t place, int value) {
    file.seekp(static_cast<std::streamoff>(place)).put(static_cast<char>(value)).flush();
  };
  for (std::size_t place = 0; place < bytes.size(); ++place) {
    for (const int bit : {0, 3, 7}) {
      put(place, bytes[place] ^ (1 << bit));
      EXPECT_NE(complaint(path_), "accepted") << "byte " << place << " bit " << bit;
    }
    put(place, bytes[place]);
  }
  EXPECT_EQ(complaint(path_), "accepted");
}

TEST_F(Safetensors, ForeignFilesAreRefused) {
  EXPECT_EQ(complaint_about("short"), "truncated: 5 bytes are no safetensors file");
  EXPECT_TRUE(complaint_about("\x89PNG\r\n\x1a\n and more").starts_with("not a safetensors file (header length"));
  EXPECT_TRUE(
      complaint_about(std::string(64, '\0')).starts_with("not a safetensors file (the header is no JSON object)"));
  EXPECT_EQ(complaint_about(with_header("{\"a\":", "")), "the header is not valid JSON");
  EXPECT_EQ(complaint_about(with_header("{\"a\":1}", "")), "tensor 'a' lacks a valid dtype, shape or data_offsets");
  EXPECT_EQ(complaint_about(with_header("{\"__metadata__\":{\"a\":1}}", "")), "metadata 'a' is no string");
  EXPECT_EQ(complaint("/dev/null"), "not a regular file");
  EXPECT_EQ(complaint(folder_.path()), "not a regular file");
  EXPECT_EQ(complaint(folder_ / "missing"), "No such file or directory");
}

TEST_F(Safetensors, BadLayoutsAreRefused) {
  const auto tensor = [](const std::string& name, const std::string& dtype, const std::string& shape,
                         const std::string& offsets) {
    return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  };
  const auto outcome = [&](const std::string& tensors) {
    return complaint_about(with_header("{" + tensors + "}", std::string(8, '\0')));
  };
  EXPECT_EQ(outcome(tensor("a", "F32", "[2]", "[0,8]")), "accepted");
  EXPECT_EQ(outcome(tensor("a", "F32", "[1]", "[0,4]") + "," + tensor("b", "F32", "[1]", "[0,4]")),
            "tensor 'b' overlaps the one before it");
  EXPECT_EQ(outcome(tensor("a", "F32", "[1]", "[4,8]")), "there is a hole in the data before tensor 'a'");
  EXPECT_EQ(outcome(tensor("a", "F32", "[1]", "[0,4]")), "4 bytes follow the last tensor");
  EXPECT_TRUE(outcome(tensor("a", "F32", "[4]", "[0,16]")).starts_with("truncated: "));
  EXPECT_EQ(outcome(tensor("a", "F32", "[3]", "[0,8]")),
            "tensor 'a' has 8 bytes, which do not fit its shape [3] of F32");
  EXPECT_EQ(outcome(tensor("a", "F32", "[4611686018427387904,4]", "[0,0]")),
            "tensor 'a' has 0 bytes, which do not fit its shape [4611686018427387904, 4] of F32");
  EXPECT_EQ(outcome(tensor("a", "F32", "[2]", "[8,0]")), "tensor 'a' ends before it begins");
  EXPECT_EQ(outcome(tensor("a", "BF16", "[4]", "[0,8]")), "tensor 'a' has the unsupported dtype BF16");
  for (const char* offsets : {"[-8,0]", "[0,8.5]", "[0]", "[0,8,8]", "8"}) {
    EXPECT_EQ(outcome(tensor("a", "F32", "[2]", offsets)), "tensor 'a' lacks a valid dtype, shape or data_offsets");
  }
  EXPECT_EQ(outcome(tensor("a", "F32", "[-2]", "[0,8]")), "tensor 'a' lacks a valid dtype, shape or data_offsets");
}

TEST_F(Safetensors, ReadingChecksNameTypeAndShape) {
  write_safetensors(path_, some_tensors(), {});
  const SafetensorsFile file(path_);
  std::vector<float> values(6);
  const auto refusal = [&](const std::string& name, TensorType type, const TensorShape& shape) -> std::string {
    try {
      file.read(name, type, shape, values.data());
    } catch (const RuntimeError& error) {
      return std::string(error.what()).substr(("cannot read '" + path_ + "': ").size());
    }
    return "accepted";
  };
  EXPECT_EQ(refusal("weights", TensorType::kF32, {2, 3}), "accepted");
  EXPECT_EQ(refusal("weights", TensorType::kI32, {2, 3}), "tensor 'weights' is F32, expected I32");
  EXPECT_EQ(refusal("weights", TensorType::kF32, {3, 2}), "tensor 'weights' has shape [2, 3], expected [3, 2]");
  EXPECT_EQ(refusal("bias", TensorType::kF32, {3}), "lacks the tensor 'bias'");
}

TEST_F(Safetensors, AFailedWriteKeepsTheOldFile) {
  write_file_atomically(path_, "old");
  std::vector<TensorSource> tensors = {{"v", TensorType::kU8, {1}, nullptr, [](std::uint64_t, std::span<std::byte>) {
                                          throw RuntimeError("device lost");
                                        }}};
  EXPECT_THROW(write_safetensors(path_, tensors, {}), RuntimeError);
  EXPECT_EQ(read_text_file(path_), "old");
  EXPECT_THROW(write_safetensors(folder_ / "missing/x", some_tensors(), {}), RuntimeError);
  const std::vector<TensorSource> twice = {some_tensors()[0], some_tensors()[0]};
  EXPECT_THROW(write_safetensors(path_, twice, {}), std::logic_error);
}

}  // namespace
}  // namespace stampede
