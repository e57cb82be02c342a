// SPDX-License-Identifier: Apache-2.0
#include "cli/run_arguments.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "kernels/error.h"

namespace stampede {
namespace fs = std::filesystem;
namespace {

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || access(path.c_str(), W_OK | X_OK) != 0) {
    throw UsageError("cannot write into the run folder " + path + (error ? ": " + error.message() : ""));
  }
}

// Where --seeds has put its runs: what somebody who names their common folder needs to know.
std::string seeds_of(const std::string& folder) {
  std::error_code error;
  std::string first;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string path = entry.path().string();
    const bool seed = entry.path().filename().string().starts_with("seed_");
    if (seed && (first.empty() || path < first)) first = path;
  }
  return first.empty() ? "" : "; each of its seeds is a run, such as " + first;
}

}  // namespace

void apply_assignments(Config& config, const Arguments& arguments) {
  arguments.check_assignments(config.names());
  for (const std::string& text : arguments.values("param")) {
    const Assignment param = split_assignment("param", text);
    config.set("env." + param.name, param.text, ConfigLayer::kCommandLine);
  }
  for (const Assignment& a : arguments.assignments()) config.set(a.name, a.text, ConfigLayer::kCommandLine);
}

std::string run_config_text(const AlgorithmEntry& algorithm, const EnvEntry& env, const Config& config) {
  return "algorithm = \"" + std::string(algorithm.id) + "\"\nenvironment = \"" + env.spec.id + "\"\n" +
         config.to_toml();
}

void load_run_config(Config& config, const std::string& path, const AlgorithmEntry& algorithm, const EnvEntry& env) {
  const NamedText names[] = {{"algorithm", algorithm.id}, {"environment", env.spec.id}};
  config.load_toml_file(path, ConfigLayer::kFile, names);
}

std::string make_run_folder(const std::string& requested, const std::string& name) {
  if (!requested.empty()) {
    std::error_code error;
    if (fs::exists(requested, error) && !(fs::is_directory(requested, error) && fs::is_empty(requested, error))) {
      throw UsageError("run folder " + requested +
                       " exists already; choose another with --out, or resume it with: ./stampede resume " + requested);
    }
    make_folder(requested);
    return requested;
  }
  make_folder("runs");
  for (int k = 1;; ++k) {
    const std::string path = "runs/" + name + (k == 1 ? "" : "_" + std::to_string(k));
    std::error_code error;
    if (fs::create_directory(path, error)) return path;
    if (error && error != std::errc::file_exists)
      throw UsageError("cannot make the run folder " + path + ": " + error.message());
  }
}

std::string checkpoint_of(const std::string& run_or_checkpoint) {
  std::error_code error;
  if (fs::is_directory(run_or_checkpoint, error)) {
    const std::string path = run_or_checkpoint + "/checkpoint.safetensors";
    if (fs::exists(path, error)) return path;
    throw UsageError(run_or_checkpoint + " holds no checkpoint.safetensors" + seeds_of(run_or_checkpoint));
  }
  if (fs::exists(run_or_checkpoint, error)) return run_or_checkpoint;
  throw UsageError("there is no run or checkpoint " + run_or_checkpoint);
}

Config config_of(const CheckpointInfo& info, const AlgorithmEntry& algorithm, const EnvEntry& env) {
  Config config = make_config(algorithm, env);
  config.load_toml(info.config, "checkpoint configuration", ConfigLayer::kFile);
  return config;
}

}  // namespace stampede
