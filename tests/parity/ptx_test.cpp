// SPDX-License-Identifier: Apache-2.0
// What nvcc makes of every environment: no spills, no local memory, and the bits of the CPU when its PTX is executed.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "environments/environment_types.h"
#include "sim/batched_env.h"
#include "tests/parity/ptx_machine.h"

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
    kernels_ = ptx::parse_module(text_);
  }
  static void TearDownTestSuite() {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
    kernels_.clear();
  }
  void SetUp() override {
    if (folder_.empty()) GTEST_SKIP() << "nvcc was not found";
  }

  // The kernel that was instantiated for an operation on an environment, by their mangled names.
  static const ptx::Kernel& kernel(const std::string& operation, const std::string& type) {
    const std::string wanted = operation + "INS_" + std::to_string(type.size()) + type + "E";
    for (const ptx::Kernel& kernel : kernels_) {
      if (kernel.name.find(wanted) != std::string::npos) return kernel;
    }
    throw std::runtime_error("no kernel " + wanted);
  }

  static std::filesystem::path folder_;
  static std::string text_;
  static std::vector<ptx::Kernel> kernels_;
};
std::filesystem::path PtxTest::folder_;
std::string PtxTest::text_;
std::vector<ptx::Kernel> PtxTest::kernels_;

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
  EXPECT_EQ(static_cast<std::size_t>(frames), kernels_.size());
}

TEST_F(PtxTest, EnvironmentsUseNoDoubles) {
  for_each_environment_type([&]<class E>(const std::string& type) {
    for (const char* name : {"StepOp", "ResetOp"}) {
      for (const ptx::Instruction& instruction : kernel(name, type).code) {
        EXPECT_FALSE(instruction.has("f64")) << type << ": " << instruction.text;
      }
    }
  });
}

// A batch with its own memory, stepped either by the CPU's loop or by executing PTX.
template <class E>
struct Batch {
  static constexpr int kWords = sizeof(typename E::State) / 4;
  static constexpr auto n = static_cast<std::size_t>(kEnvironments);

  Batch() {
    batch.state = {state.data(), n};
    batch.needs_reset = needs_reset.data();
    batch.elapsed = elapsed.data();
    batch.episode_return = returns.data();
    batch.log = {episodes.data(), &episode_count};
    batch.seed = 17;
    batch.first = 5;
    batch.time_limit = kTimeLimit;
  }

  StepOp<E> step(std::uint64_t row) {
    for (std::size_t i = 0; i < n; ++i) choose_action(i, row);
    return {batch, StepRow{records.data(), obs.data(), row}, 0};
  }

  void choose_action(std::size_t i, std::uint64_t row) {
    const Space& space = E::specs[0].action;
    Rng rng(RandomKey{3, row, Purpose::kAction}, static_cast<std::uint32_t>(i));
    for (int k = 0; k < space.size; ++k) {
      const auto place = i * EnvBatch<E>::kRecord.words + static_cast<std::size_t>(k);
      if (space.is_discrete()) records[place] = rng.below(static_cast<std::uint32_t>(space.count));
      if (!space.is_discrete()) records[place] = float_bits(1.5f * rng.uniform(space.low[k], space.high[k]));
    }
  }

  bool operator==(const Batch& other) const {
    return state == other.state && needs_reset == other.needs_reset && elapsed == other.elapsed &&
           records == other.records && obs == other.obs && episode_count == other.episode_count &&
           std::memcmp(returns.data(), other.returns.data(), n * sizeof(float)) == 0 &&
           std::memcmp(episodes.data(), other.episodes.data(), episodes.size() * sizeof(Episode)) == 0;
  }

  EnvBatch<E> batch{};
  std::vector<std::uint32_t> state = std::vector<std::uint32_t>(n * kWords);
  std::vector<std::int32_t> needs_reset = std::vector<std::int32_t>(n), elapsed = std::vector<std::int32_t>(n);
  std::vector<float> returns = std::vector<float>(n);
  std::vector<Episode> episodes = std::vector<Episode>(kEpisodesKept);
  std::uint32_t episode_count = 0;
  std::vector<std::uint32_t> records = std::vector<std::uint32_t>(n * EnvBatch<E>::kRecord.words);
  std::vector<std::uint32_t> obs = std::vector<std::uint32_t>(n * EnvBatch<E>::kObsWords);
};

template <class Operation>
void execute(ptx::Machine& machine, const Operation& operation) {
  const int count = kEnvironments;
  machine.set_parameter(0, &count, sizeof count);
  machine.set_parameter(1, &operation, sizeof operation);
  constexpr unsigned kThreads = 32;  // so the last block has idle threads
  for (unsigned i = 0; i < 2 * kThreads; ++i) machine.run(i / kThreads, kThreads, i % kThreads);
}

template <class E>
void expect_same_steps(const ptx::Kernel& reset, const ptx::Kernel& step) {
  Batch<E> cpu, cuda;
  ptx::Machine reset_machine(reset), step_machine(step);
  const ResetOp<E> on_cpu{cpu.batch, cpu.obs.data()};
  for (int i = 0; i < kEnvironments; ++i) on_cpu(i);
  execute(reset_machine, ResetOp<E>{cuda.batch, cuda.obs.data()});
  ASSERT_TRUE(cpu == cuda) << E::specs[0].id << " after the reset";
  for (std::uint64_t row = 0; row < kRows; ++row) {
    cpu.step(row)(0, kEnvironments);
    execute(step_machine, cuda.step(row));
    ASSERT_TRUE(cpu == cuda) << E::specs[0].id << " in row " << row;
  }
  EXPECT_GT(cpu.episode_count, 0u) << E::specs[0].id;
}

TEST_F(PtxTest, StepsHaveTheBitsOfTheCpu) {
  for_each_environment_type(
      [&]<class E>(const std::string& type) { expect_same_steps<E>(kernel("ResetOp", type), kernel("StepOp", type)); });
}

TEST_F(PtxTest, InterpreterNoticesAWrongInstruction) {
  ptx::Kernel wrong = kernel("StepOp", "CartPole");
  const ptx::Kernel& reset = kernel("ResetOp", "CartPole");
  int changed = 0;
  for (ptx::Instruction& instruction : wrong.code) {
    if (instruction.op != "fma" || changed > 0) continue;
    std::swap(instruction.operands[2], instruction.operands[3]);
    ++changed;
  }
  ASSERT_EQ(changed, 1);
  Batch<CartPole> cpu, cuda;
  ptx::Machine reset_machine(reset), step_machine(wrong);
  const ResetOp<CartPole> on_cpu{cpu.batch, cpu.obs.data()};
  for (int i = 0; i < kEnvironments; ++i) on_cpu(i);
  execute(reset_machine, ResetOp<CartPole>{cuda.batch, cuda.obs.data()});
  cpu.step(0)(0, kEnvironments);
  execute(step_machine, cuda.step(0));
  EXPECT_FALSE(cpu == cuda);
}

}  // namespace
}  // namespace stampede
