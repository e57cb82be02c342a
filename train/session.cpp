// SPDX-License-Identifier: Apache-2.0
#include "train/session.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <utility>

#include "kernels/error.h"
#include "kernels/graph.h"
#include "kernels/philox.h"
#include "train/checkpoint.h"
#include "train/folder_lock.h"
#include "train/memory_budget.h"
#include "train/progress_line.h"
#include "train/run_log.h"
#include "train/solved_step.h"

namespace stampede {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::int64_t cadence(const Config& config, const char* key, std::int64_t parts) {
  const std::int64_t value = config.integer(key);
  return value > 0 ? value : std::max<std::int64_t>(1, config.integer("total_steps") / parts);
}

TrainerSetup setup_of(const SessionOptions& options, const Stream& stream) {
  return {options.config, options.env, env_parameters(options.config, options.env), stream,
          network_factory(options.config)};
}

double threshold_of(const SessionOptions& options) {
  return options.stop_at.value_or(static_cast<double>(options.env.spec.reward_threshold));
}

// One run. The order of its members is the order of construction: nothing is written before everything is checked.
class Session {
 public:
  explicit Session(const SessionOptions& options)
      : options_(options),
        started_(Clock::now()),
        seed_(static_cast<std::uint64_t>(options.config.integer("seed"))),
        stream_(make_stream(options.config, options.threads)),
        trainer_(options.algorithm.make(setup_of(options, stream_))),
        graph_(stream_, options.config.flag("cuda_graph")),
        progress_(stderr),
        solved_(threshold_of(options)) {}

  RunResult run() {
    begin();
    loop_start_ = Clock::now();
    while (!finished_ && another_iteration()) {
      graph_.run([this] { trainer_->iterate(); });
      after_iteration();
      if (options_.signals && options_.signals->requested()) return interrupted();
    }
    trainer_->env_steps();  // waits for what is still enqueued
    seconds_train_ = train_seconds();
    request_log();
    finish_log();
    if (!evaluated_now_) evaluate();
    save();
    return result();
  }

 private:
  // total_steps, or one iteration when that is longer.
  std::int64_t last_row() const {
    return std::max(options_.config.integer("total_steps"), trainer_->rows_per_iteration());
  }
  bool another_iteration() const { return trainer_->rows() + trainer_->rows_per_iteration() <= last_row(); }
  std::string path(const char* file) const { return options_.run_dir + "/" + file; }
  std::string checkpoint_path() const { return path("checkpoint.safetensors"); }

  void begin() {
    lock_.emplace(options_.run_dir);
    print_budget();
    trainer_->initialize();
    std::optional<std::int64_t> resume_step;
    if (options_.resume) resume_step = load();
    if (options_.resume && !another_iteration()) {
      throw UsageError("the run is complete at step " + std::to_string(trainer_->rows()) +
                       "; to train on give a larger total_steps=N");
    }
    log_ = std::make_unique<RunLog>(options_.run_dir, trainer_->metric_names(), resume_step);
    first_rows_ = trainer_->rows();
    first_steps_ = trainer_->env_steps();
    logged_rows_ = first_rows_;
    logged_updates_ = trainer_->updates();
    const Config& config = options_.config;
    next_log_ = first_rows_ + cadence(config, "log_every", 100);
    next_eval_ = next_multiple(cadence(config, "eval_every", 20));
    next_checkpoint_ = first_rows_ + cadence(config, "checkpoint_every", 5);
  }

  // The evaluation schedule of a resumed run is that of the whole one.
  std::int64_t next_multiple(std::int64_t every) const { return (trainer_->rows() / every + 1) * every; }

  std::int64_t load() {
    load_checkpoint(checkpoint_path(), *trainer_, stream_);
    const CheckpointInfo info = read_checkpoint_info(checkpoint_path());
    solved_ = SolvedStep(threshold_of(options_), info.first_reached, info.solved_at);
    saved_ = true;
    saved_rows_ = info.rows;
    if (!info.with_replay && trainer_->replay_bytes() > 0) {
      message("the checkpoint has no replay memory: the run continues, but not bit for bit");
    }
    return trainer_->env_steps();
  }

  void print_budget() {
    if (!options_.show_progress) return;
    std::size_t total = 0;
    std::string parts;
    char text[96];
    for (const auto& [name, bytes] : trainer_->memory_budget()) {
      total += bytes;
      std::snprintf(text, sizeof text, "%s%s %.1f", parts.empty() ? "" : ", ", name.c_str(),
                    static_cast<double>(bytes) / 1048576.0);
      parts += text;
    }
    std::fprintf(stderr, "memory budget on %s: %.1f MiB (%s)\n", std::string(device_name(stream_.device())).c_str(),
                 static_cast<double>(total) / 1048576.0, parts.c_str());
  }

  void message(const std::string& text) {
    progress_.interrupt();
    std::fprintf(stderr, "stampede: %s\n", text.c_str());
  }

  double train_seconds() const {
    return seconds_train_ ? *seconds_train_ : seconds_since(loop_start_) - seconds_eval_ - seconds_save_;
  }

  void after_iteration() {
    evaluated_now_ = false;
    const std::int64_t rows = trainer_->rows();
    if (rows >= next_log_) {
      request_log();
      next_log_ = rows + cadence(options_.config, "log_every", 100);
    }
    if (rows >= next_eval_) {
      evaluate();
      next_eval_ = next_multiple(cadence(options_.config, "eval_every", 20));
    }
    if (rows >= next_checkpoint_) {
      save();
      next_checkpoint_ = rows + cadence(options_.config, "checkpoint_every", 5);
    }
    if (options_.show_progress) progress_.update(progress());
  }

  Progress progress() { return progress(trainer_->rows(), train_seconds()); }

  Progress progress(std::int64_t rows, double seconds) {
    Progress p;
    p.steps = rows;
    const std::int64_t iteration = trainer_->rows_per_iteration();
    p.total_steps = last_row() / iteration * iteration;  // whole iterations only
    p.session_steps = p.steps - first_rows_;
    p.session_transitions = last_env_steps_ - first_steps_;
    p.train_seconds = seconds;
    p.mean_return = log_->mean_return();
    return p;
  }

  // A row of metrics whose numbers are on their way from the device.
  struct RequestedRow {
    std::int64_t updates;
    bool learnt;  // since the row before
    double train_seconds;
  };

  // On CUDA the row is written when the next one is requested, so that training never waits for its log; it is then at
  // most one row ahead of what the host knows.
  void request_log() {
    if (trainer_->rows() == logged_rows_) return;
    finish_log();
    logged_rows_ = trainer_->rows();
    const std::int64_t updates = trainer_->updates();
    requested_ = RequestedRow{updates, updates != std::exchange(logged_updates_, updates), train_seconds()};
    trainer_->request_metrics();
    if (!stream_.is_cuda()) finish_log();
  }

  // Losses are left out where no update happened: their sums would read as zeros.
  void finish_log() {
    if (!requested_) return;
    const RequestedRow requested = *std::exchange(requested_, std::nullopt);
    TrainerMetrics metrics = trainer_->take_metrics();
    if (metrics.failed) fail_on_nan();
    if (metrics.finished) finished_ = true;
    last_env_steps_ = metrics.env_steps;
    log_->note_episodes(last_env_steps_, metrics.episodes);
    if (!requested.learnt) std::erase_if(metrics.values, [](const auto& v) { return v.first.starts_with("losses/"); });
    const double speed = steps_per_second(progress(metrics.rows, requested.train_seconds));
    log_->write_metrics(last_env_steps_, {speed, metrics.rows, requested.updates}, metrics.values);
  }

  [[noreturn]] void fail_on_nan() {
    progress_.interrupt();
    const std::string kept =
        saved_ ? "the last good checkpoint is " + checkpoint_path() + " at step " + std::to_string(saved_rows_)
               : "no checkpoint was written before";
    throw RuntimeError("the loss or its gradient is not finite near step " + std::to_string(trainer_->rows()) +
                       " (parameters were left as they were); " + kept);
  }

  void evaluate() {
    finish_log();
    const std::int64_t steps = trainer_->env_steps();  // waits, so that training is not timed as evaluation
    last_env_steps_ = steps;
    const auto start = Clock::now();
    last_evaluation_ = trainer_->evaluate(evaluation_seed(seed_, trainer_->rows()), EvaluationMode::kGreedy);
    seconds_eval_ += seconds_since(start);
    evaluated_now_ = true;
    log_->write_evaluation(steps, last_evaluation_);
    solved_.note(steps, last_evaluation_.return_mean);
    if (options_.stop_at && solved_.solved() && solved_.reached()) finished_ = true;
  }

  // A checkpoint must never replace a good one after a loss was not finite, so the metrics are looked at before.
  void save() {
    request_log();
    finish_log();
    CheckpointInfo info{std::string(options_.algorithm.id), options_.env.spec.id, options_.config.to_toml()};
    const std::size_t replay = trainer_->replay_bytes();
    info.with_replay =
        replay > 0 && replay <= static_cast<std::size_t>(options_.config.integer("replay_checkpoint_mib")) << 20;
    info.first_reached = solved_.first_reached();
    info.solved_at = solved_.solved_at();
    log_->flush();
    const auto start = Clock::now();
    save_checkpoint(checkpoint_path(), *trainer_, stream_, info);
    saved_ = true;
    saved_rows_ = trainer_->rows();
    seconds_save_ += seconds_since(start);
  }

  RunResult interrupted() {
    save();
    message("interrupted; saved. Continue with: ./stampede resume " + options_.run_dir);
    RunResult r = result();
    r.interrupted = true;
    return r;
  }

  RunResult result() {
    last_env_steps_ = trainer_->env_steps();
    if (options_.show_progress) progress_.finish(progress());
    RunResult r;
    r.algo = options_.algorithm.id;
    r.env = options_.env.spec.id;
    r.seed = options_.config.integer("seed");
    r.env_steps = last_env_steps_;
    r.gradient_updates = trainer_->updates();
    r.seconds_train = train_seconds();
    r.seconds_eval = seconds_eval_;
    r.seconds_total = seconds_since(started_);
    r.eval_return_mean = last_evaluation_.return_mean;
    r.eval_return_std = last_evaluation_.return_std;
    r.eval_episodes = last_evaluation_.episodes;
    r.eval_exact = last_evaluation_.exact;
    r.solved_at_step = solved_.step();
    r.device = device_name(stream_.device());
    r.threads = options_.threads;
    r.run_dir = options_.run_dir;
    r.peak_memory_mib = static_cast<double>(peak_host_memory()) / 1048576.0;
    return r;
  }

  const SessionOptions& options_;
  Clock::time_point started_;
  std::uint64_t seed_;
  Stream stream_;
  std::unique_ptr<Trainer> trainer_;
  Graph graph_;
  ProgressLine progress_;
  std::optional<FolderLock> lock_;
  std::unique_ptr<RunLog> log_;
  EvaluationResult last_evaluation_;
  std::int64_t first_rows_ = 0, first_steps_ = 0, last_env_steps_ = 0;
  std::int64_t next_log_ = 0, next_eval_ = 0, next_checkpoint_ = 0;
  SolvedStep solved_;
  Clock::time_point loop_start_;
  double seconds_eval_ = 0.0, seconds_save_ = 0.0;
  std::optional<double> seconds_train_;  // set when training is over
  bool evaluated_now_ = false, finished_ = false, saved_ = false;
  std::int64_t saved_rows_ = 0;
  std::int64_t logged_rows_ = 0, logged_updates_ = 0;
  std::optional<RequestedRow> requested_;
};

}  // namespace

RunResult run_session(const SessionOptions& options) { return Session(options).run(); }

std::uint64_t evaluation_seed(std::uint64_t seed, std::int64_t rows) {
  // A key of its own: no training stream uses purpose 0.
  const PhiloxBlock block = RandomKey{seed, static_cast<std::uint64_t>(rows), Purpose{0}}.block(0, 0);
  return static_cast<std::uint64_t>(block.word[0]) << 32 | block.word[1];
}

}  // namespace stampede
