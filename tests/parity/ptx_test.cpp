// SPDX-License-Identifier: Apache-2.0
// What nvcc makes of every environment: no spills, no local memory, and the bits of the CPU when its PTX is executed.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "environments/environment_types.h"
#include "sim/batched_env.h"
#include "tests/soft_gpu/code.h"
#include "tests/soft_gpu/machine.h"

namespace stampede {
namespace {

constexpr int kEnvironments = 33;
constexpr int kRows = 130;
constexpr int kTimeLimit = 50;  // shorter than the environments' own, so that every episode ends and starts again

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string find_tool(const std::string& name) {
  std::istringstream folders(std::string(std::getenv("PATH")) + ":/usr/local/cuda/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (std::filesystem::exists(folder + "/" + name)) return folder + "/" + name;
  }
  return "";
}

// The kernels that BatchedEnv<E> launches, for the lines of sim/registry.def.
std::string kernels_source() {
  std::ifstream registry(std::string(STAMPEDE_SOURCE_DIR) + "/sim/registry.def");
  std::string includes = "#include \"sim/batched_env.h\"\n", kernels;
  for (std::string line; std::getline(registry, line);) {
    std::istringstream words(line);
    std::string header, type;
    words >> header >> type;
    if (header.empty() || header[0] == '#') continue;
    includes += "#include \"sim/envs/" + header + ".h\"\n";
    kernels += "reinterpret_cast<void*>(&chunk_kernel<StepOp<" + type + ">>),\n";
    kernels += "reinterpret_cast<void*>(&index_kernel<ResetOp<" + type + ">>),\n";
  }
  return includes + "namespace stampede {\nvoid* const kernels[] = {\n" + kernels + "};\n}\n";
}

// Compiles all environments' kernels once, with the project's device flags.
class PtxTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const std::string nvcc = find_tool("nvcc");
    if (nvcc.empty()) return;
    std::string folder = (std::filesystem::temp_directory_path() / "stampede-ptx-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) return;
    folder_ = folder;
    std::ofstream(folder_ / "environments.cu") << kernels_source();
    const std::string base = " > " + (folder_ / "log").string() + " 2>&1 ";
    const int code =
        std::system((nvcc + " -std=c++20 -O3 -DNDEBUG -arch=sm_90 -fmad=false -diag-suppress=1675" +
                     " --expt-relaxed-constexpr -I" + STAMPEDE_SOURCE_DIR + " -ptx " +
                     (folder_ / "environments.cu").string() + " -o " + (folder_ / "environments.ptx").string() + base)
                        .c_str());
    ASSERT_EQ(code, 0) << read_file(folder_ / "log");
    text_ = read_file(folder_ / "environments.ptx");
    module_ = std::make_unique<soft_gpu::Module>(text_);
  }
  static void TearDownTestSuite() {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
    module_.reset();
  }
  void SetUp() override {
    if (folder_.empty()) GTEST_SKIP() << "nvcc was not found";
  }

  // The mangled name of the kernel that was instantiated for an operation on an environment.
  static std::string kernel_name(const std::string& operation, const std::string& type) {
    const std::string wanted = operation + "INS_" + std::to_string(type.size()) + type + "E";
    for (const std::string& name : module_->kernel_names()) {
      if (name.find(wanted) != std::string::npos) return name;
    }
    throw std::runtime_error("no kernel " + wanted);
  }
  static const soft_gpu::Kernel& kernel(const std::string& operation, const std::string& type) {
    return *module_->find(kernel_name(operation, type));
  }

  static std::filesystem::path folder_;
  static std::string text_;
  static std::unique_ptr<soft_gpu::Module> module_;
};
std::filesystem::path PtxTest::folder_;
std::string PtxTest::text_;
std::unique_ptr<soft_gpu::Module> PtxTest::module_;

TEST_F(PtxTest, NoSpillsAndNoLocalMemory) {
  const std::string ptxas = find_tool("ptxas");
  if (ptxas.empty()) GTEST_SKIP() << "ptxas was not found";
  const std::string log = (folder_ / "ptxas").string();
  const std::string command = ptxas + " -v -arch=sm_90 " + (folder_ / "environments.ptx").string() + " -o /dev/null";
  ASSERT_EQ(std::system((command + " > " + log + " 2>&1").c_str()), 0) << read_file(log);
  std::istringstream lines(read_file(log));
  int frames = 0;
  std::string name;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("entry function") != std::string::npos) name = line;
    if (line.find("stack frame") == std::string::npos) continue;
    ++frames;
    EXPECT_NE(line.find(" 0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads"), std::string::npos)
        << name << line;
  }
  EXPECT_EQ(static_cast<std::size_t>(frames), module_->kernel_names().size());
}

TEST_F(PtxTest, EnvironmentsUseNoDoubles) {
  for_each_environment_type([&]<class E>(const std::string& type) {
    for (const char* name : {"StepOp", "ResetOp"}) {
      for (const std::string_view text : kernel(name, type).code->texts) {
        EXPECT_EQ(text.find(".f64"), std::string_view::npos) << type << ": " << text;
      }
    }
  });
}

// The arrays of a batch, one after the other from an address of the host or of the device.
template <class E>
class Batch {
 public:
  static constexpr int kWords = sizeof(typename E::State) / 4;
  static constexpr int kRecordWords = EnvBatch<E>::kRecord.words;
  static constexpr auto n = static_cast<std::size_t>(kEnvironments);

  explicit Batch(std::uint64_t address) : begin_(address), end_(address) {
    batch_.state = {take<std::uint32_t>(n * kWords), n};
    batch_.needs_reset = take<std::int32_t>(n);
    batch_.elapsed = take<std::int32_t>(n);
    batch_.episode_return = take<float>(n);
    Episode* episodes = take<Episode>(kEpisodesKept);
    batch_.log = {episodes, take<std::uint32_t>(1)};
    records_ = take<std::uint32_t>(n * kRecordWords);
    obs_ = take<std::uint32_t>(n * EnvBatch<E>::kObsWords);
    batch_.seed = 17;
    batch_.first = 5;
    batch_.time_limit = kTimeLimit;
  }

  ResetOp<E> reset() const { return {batch_, obs_}; }
  StepOp<E> step(std::uint64_t row) const { return {batch_, StepRow{records_, obs_, row}, 0}; }
  std::size_t bytes() const { return end_ - begin_; }
  std::size_t records_at() const { return reinterpret_cast<std::uint64_t>(records_) - begin_; }
  std::size_t episode_count_at() const { return reinterpret_cast<std::uint64_t>(batch_.log.counts) - begin_; }

 private:
  template <class T>
  T* take(std::size_t count) {
    auto* array = reinterpret_cast<T*>(end_);
    end_ += (count * sizeof(T) + 63) / 64 * 64;
    return array;
  }

  EnvBatch<E> batch_{};
  std::uint32_t *records_, *obs_;
  std::uint64_t begin_, end_;
};

template <class E>
void choose_actions(std::uint64_t row, std::uint32_t* records) {
  const Space& space = E::specs[0].action;
  for (std::uint32_t i = 0; i < kEnvironments; ++i) {
    Rng rng(RandomKey{3, row, Purpose::kAction}, i);
    for (int k = 0; k < space.size; ++k) {
      std::uint32_t& word = records[i * Batch<E>::kRecordWords + static_cast<std::uint32_t>(k)];
      if (space.is_discrete()) word = rng.below(static_cast<std::uint32_t>(space.count));
      if (!space.is_discrete()) word = float_bits(1.5f * rng.uniform(space.low[k], space.high[k]));
    }
  }
}

// A batch that the CPU's loop steps, and one that the software GPU steps.
template <class E>
class Pair {
 public:
  Pair()
      : memory_(1 << 20),
        words_(Batch<E>(0).bytes() / 4),
        cpu_(reinterpret_cast<std::uint64_t>(words_.data())),
        address_(memory_.allocate(cpu_.bytes())),
        cuda_(address_) {
    std::memset(memory_.host_view(address_, cpu_.bytes(), soft_gpu::Access::kWrite), 0, cpu_.bytes());
  }

  void reset(const soft_gpu::Kernel& kernel) {
    const ResetOp<E> on_cpu = cpu_.reset();
    for (int i = 0; i < kEnvironments; ++i) on_cpu(i);
    launch(kernel, cuda_.reset());
  }
  void step(const soft_gpu::Kernel& kernel, std::uint64_t row) {
    choose_actions<E>(row, words_.data() + cpu_.records_at() / 4);
    choose_actions<E>(row, device_words(cuda_.records_at()));
    cpu_.step(row)(0, kEnvironments);
    launch(kernel, cuda_.step(row));
  }
  bool same() { return std::memcmp(words_.data(), device_words(0), cpu_.bytes()) == 0; }
  std::uint32_t episodes() const { return words_[cpu_.episode_count_at() / 4]; }

 private:
  std::uint32_t* device_words(std::size_t offset) {
    std::byte* bytes = memory_.host_view(address_, cpu_.bytes(), soft_gpu::Access::kRead);
    return reinterpret_cast<std::uint32_t*>(bytes + offset);
  }

  template <class Operation>
  void launch(const soft_gpu::Kernel& kernel, const Operation& operation) {
    soft_gpu::Launch launch{&kernel, 2, 32, 0, std::vector<std::byte>(kernel.parameter_bytes)};  // with idle threads
    const int count = kEnvironments;
    ASSERT_EQ(kernel.parameters.at(1).bytes, sizeof operation);
    std::memcpy(launch.parameters.data() + kernel.parameters[0].offset, &count, sizeof count);
    std::memcpy(launch.parameters.data() + kernel.parameters[1].offset, &operation, sizeof operation);
    soft_gpu::run(launch, memory_, soft_gpu::Schedule{});
  }

  soft_gpu::DeviceMemory memory_;
  std::vector<std::uint32_t> words_;
  Batch<E> cpu_;
  std::uint64_t address_;
  Batch<E> cuda_;
};

template <class E>
void expect_same_steps(const soft_gpu::Kernel& reset, const soft_gpu::Kernel& step) {
  Pair<E> pair;
  pair.reset(reset);
  ASSERT_TRUE(pair.same()) << E::specs[0].id << " after the reset";
  for (std::uint64_t row = 0; row < kRows; ++row) {
    pair.step(step, row);
    ASSERT_TRUE(pair.same()) << E::specs[0].id << " in row " << row;
  }
  EXPECT_GT(pair.episodes(), 0u) << E::specs[0].id;
}

TEST_F(PtxTest, StepsHaveTheBitsOfTheCpu) {
  for_each_environment_type(
      [&]<class E>(const std::string& type) { expect_same_steps<E>(kernel("ResetOp", type), kernel("StepOp", type)); });
}

// Exchanges the first factor and the addend of the first fma after a place in a module's text.
std::string with_wrong_fma(std::string text, std::size_t from) {
  const std::size_t at = text.find("fma.rn.f32", from), end = text.find(';', at);
  std::istringstream words(text.substr(at, end - at));
  std::string name, result, a, b, c;
  words >> name >> result >> a >> b >> c;
  return text.replace(at, end - at, name + " " + result + " " + c + ", " + b + " " + a.substr(0, a.size() - 1));
}

TEST_F(PtxTest, AWrongInstructionIsNoticed) {
  const std::string name = kernel_name("StepOp", "CartPole");
  soft_gpu::Module wrong(with_wrong_fma(text_, text_.find(".entry " + name)));
  Pair<CartPole> pair;
  pair.reset(kernel("ResetOp", "CartPole"));
  ASSERT_TRUE(pair.same());
  pair.step(*wrong.find(name), 0);
  EXPECT_FALSE(pair.same());
}

}  // namespace
}  // namespace stampede
