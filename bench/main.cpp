// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "bench/benchmarks.h"

namespace {

// Google Benchmark appends how it measures ("/real_time", "/iterations:1") to a benchmark's name. The names here are
// the ones that documentation, tables and comparisons use, so the appendix is left out of every report.
template <class Reporter>
class PlainNames final : public Reporter {
 public:
  using Reporter::Reporter;
  void ReportRuns(const std::vector<benchmark::BenchmarkReporter::Run>& runs) override {
    std::vector<benchmark::BenchmarkReporter::Run> plain = runs;
    for (auto& run : plain) {
      run.run_name.time_type.clear();
      run.run_name.iterations.clear();
      run.run_name.repetitions.clear();
    }
    Reporter::ReportRuns(plain);
  }
};

// A filter that ends in $ means the plain name.
std::string with_appendix(std::string argument) {
  const bool filter = argument.rfind("--benchmark_filter=", 0) == 0;
  if (filter && argument.back() == '$') argument.insert(argument.size() - 1, "(/(iterations|repeats|real_time).*)?");
  return argument;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words;
  bool json = false;
  for (int i = 0; i < argc; ++i) {
    words.push_back(with_appendix(argv[i]));
    json = json || words.back() == "--benchmark_format=json";
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  int count = argc;
  stampede::register_peak_benchmarks();
  stampede::register_env_benchmarks();
  stampede::register_mlp_benchmarks();
  stampede::register_replay_benchmarks();
  stampede::register_train_benchmarks();
  stampede::register_tabular_benchmarks();
  stampede::register_async_benchmarks();
  stampede::register_sac_benchmarks();
  stampede::register_process_benchmarks();
  stampede::register_gpu_facts();
  stampede::register_cuda_training_benchmarks();
  stampede::register_cuda_mlp_benchmarks();
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::AddCustomContext("flags", STAMPEDE_FLAGS);
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  std::unique_ptr<benchmark::BenchmarkReporter> reporter;
  if (json) {
    reporter = std::make_unique<PlainNames<benchmark::JSONReporter>>();
  } else {
    using Console = benchmark::ConsoleReporter;
    reporter =
        std::make_unique<PlainNames<Console>>(isatty(STDOUT_FILENO) ? Console::OO_ColorTabular : Console::OO_Tabular);
  }
  const std::size_t matched = benchmark::RunSpecifiedBenchmarks(reporter.get());
  benchmark::Shutdown();
  if (matched == 0) return 2;  // the library has said why
  if (std::cout.flush()) return 0;
  std::fprintf(stderr, "stampede: cannot write to standard output\n");
  return 1;
}
