// SPDX-License-Identifier: Apache-2.0
#include "tests/emulator/simt.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <numeric>
#include <random>

#include "tests/emulator/fibre.h"

thread_local constinit simt::Index threadIdx;
thread_local constinit simt::Index blockIdx;
thread_local constinit simt::Index blockDim;
thread_local constinit simt::Index gridDim;

namespace simt {
namespace {

constexpr std::size_t kGuardBytes = 64;
constexpr unsigned char kPoison = 0xff;  // NaN as float, -1 as integer
constexpr unsigned char kGuard = 0xa5;
constexpr unsigned kNamedBarriers = 16;

enum class State { kReady, kAtBlockBarrier, kAtNamedBarrier, kAtWarpBarrier, kDone };

struct Thread {
  Fibre fibre;
  State state = State::kReady;
  Location where;
  std::uint32_t mask = 0;
  std::uint64_t published = 0;
  std::uint64_t received[32] = {};
  std::exception_ptr failure;
};

std::string describe(const Location& where) {
  return std::string(where.file_name()) + ":" + std::to_string(where.line());
}

bool same_place(const Location& a, const Location& b) {
  return a.line() == b.line() && a.column() == b.column() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

// Shared memory with a guard zone behind it, which shows a write beyond the end.
class SharedArray {
 public:
  SharedArray(const void* key, std::size_t bytes) : key_(key), bytes_(bytes), memory_(bytes + kGuardBytes + 15) {
    std::memset(data(), kPoison, bytes_);
    std::memset(data() + bytes_, kGuard, kGuardBytes);
  }

  const void* key() const { return key_; }
  unsigned char* data() { return memory_.data() + (16 - reinterpret_cast<std::uintptr_t>(memory_.data()) % 16) % 16; }
  bool intact() {
    return std::all_of(data() + bytes_, data() + bytes_ + kGuardBytes, [](unsigned char c) { return c == kGuard; });
  }

 private:
  const void* key_;
  std::size_t bytes_;
  std::vector<unsigned char> memory_;
};

// One block at a time: its threads, its shared memory and the scheduler that gives out turns.
class Block {
 public:
  Block(unsigned threads, std::size_t shared_bytes, Schedule schedule, const std::function<void()>& kernel);

  void execute(unsigned index);

  unsigned current() const { return current_; }
  unsigned thread_count() const { return static_cast<unsigned>(threads_.size()); }
  void* shared_array(const void* key, std::size_t bytes);
  void* dynamic_shared() { return dynamic_->data(); }
  void wait(State state, std::uint32_t mask, const Location& where);
  Thread& thread() { return *threads_[current_]; }

 private:
  void thread_body();
  void choose_turns();
  void run_turns();
  bool release_warps();
  bool release_warp(unsigned first_lane);
  bool release_block();
  bool release_named(unsigned barrier);
  void check_memory();
  [[noreturn]] void report_deadlock() const;

  std::size_t shared_bytes_;
  Schedule schedule_;
  const std::function<void()>& kernel_;
  std::function<void()> body_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<unsigned> turns_;
  std::vector<std::unique_ptr<SharedArray>> arrays_;
  std::unique_ptr<SharedArray> dynamic_;
  unsigned current_ = 0;
};

thread_local Block* active_block = nullptr;

// What barriers_of() and run_without() are about while they run; null otherwise.
thread_local std::vector<Location>* reached_barriers = nullptr;
thread_local const Location* removed_barrier = nullptr;

// Notes a barrier; false when it is left out.
bool reach_barrier(const Location& where) {
  if (reached_barriers != nullptr && std::none_of(reached_barriers->begin(), reached_barriers->end(),
                                                  [&](const Location& known) { return same_place(known, where); })) {
    reached_barriers->push_back(where);
  }
  return removed_barrier == nullptr || !same_place(*removed_barrier, where);
}

template <class T>
class Assigned {
 public:
  Assigned(T& variable, T value) : variable_(variable) { variable = value; }
  ~Assigned() { variable_ = T{}; }
  Assigned(const Assigned&) = delete;
  Assigned& operator=(const Assigned&) = delete;

 private:
  T& variable_;
};

Block& active() {
  if (active_block == nullptr) throw Error("a CUDA function was called outside of simt::run");
  return *active_block;
}

Block::Block(unsigned threads, std::size_t shared_bytes, Schedule schedule, const std::function<void()>& kernel)
    : shared_bytes_(shared_bytes), schedule_(schedule), kernel_(kernel), random_(schedule.seed), turns_(threads) {
  if (threads == 0 || threads > 1024) throw Error("a block has 1 to 1024 threads, not " + std::to_string(threads));
  body_ = [this] { thread_body(); };
  for (unsigned t = 0; t < threads; ++t) threads_.push_back(std::make_unique<Thread>());
}

void Block::thread_body() {
  Thread& self = thread();
  try {
    kernel_();
  } catch (...) {
    self.failure = std::current_exception();
  }
  self.state = State::kDone;
  self.fibre.yield();
}

void Block::execute(unsigned index) {
  blockIdx.x = index;
  arrays_.clear();
  dynamic_ = std::make_unique<SharedArray>(nullptr, shared_bytes_);
  for (auto& thread : threads_) {
    thread->state = State::kReady;
    thread->failure = nullptr;
    thread->fibre.start(body_);
  }
  active_block = this;
  for (;;) {
    choose_turns();
    run_turns();
    if (std::all_of(threads_.begin(), threads_.end(), [](const auto& t) { return t->state == State::kDone; })) break;
    const bool released_warp = release_warps();
    bool released_block = release_block();
    for (unsigned barrier = 1; barrier < kNamedBarriers; ++barrier) {
      released_block = release_named(barrier) || released_block;
    }
    const bool ready =
        std::any_of(threads_.begin(), threads_.end(), [](const auto& t) { return t->state == State::kReady; });
    if (!ready && !released_warp && !released_block) report_deadlock();
  }
  check_memory();
}

void Block::choose_turns() {
  std::iota(turns_.begin(), turns_.end(), 0u);
  if (schedule_.order == Order::kReverse || schedule_.order == Order::kWarps)
    std::reverse(turns_.begin(), turns_.end());
  if (schedule_.order == Order::kRandom) std::shuffle(turns_.begin(), turns_.end(), random_);
}

void Block::run_turns() {
  bool anyone = false;
  for (const unsigned t : turns_) {
    Thread& thread = *threads_[t];
    if (thread.state != State::kReady) continue;
    if (schedule_.order == Order::kWarps && anyone && t / 32 != current_ / 32) break;
    if (schedule_.order == Order::kRandom && anyone && random_() % 2 == 0) continue;  // others run ahead of this one
    anyone = true;
    current_ = t;
    threadIdx.x = t;
    thread.fibre.resume();
    if (thread.failure) std::rethrow_exception(thread.failure);
    if (!thread.fibre.stack_intact()) throw Error("thread " + std::to_string(t) + " overflowed its stack");
  }
}

bool Block::release_warps() {
  bool released = false;
  for (unsigned first = 0; first < thread_count(); first += 32) released = release_warp(first) || released;
  return released;
}

// Lets go every group of lanes whose mask is complete: all of its lanes wait, at one place, with the same mask.
bool Block::release_warp(unsigned first_lane) {
  bool released = false;
  const unsigned lanes = std::min(32u, thread_count() - first_lane);
  for (unsigned l = 0; l < lanes; ++l) {
    const Thread& leader = *threads_[first_lane + l];
    if (leader.state != State::kAtWarpBarrier) continue;
    const std::uint32_t mask = leader.mask;
    const Location where = leader.where;
    std::uint64_t words[32] = {};
    bool complete = true;
    for (unsigned k = 0; k < lanes; ++k) {
      if ((mask >> k & 1u) == 0) continue;
      const Thread& lane = *threads_[first_lane + k];
      if (lane.state == State::kDone) throw Error("a warp operation names a lane that has left, at " + describe(where));
      if (lane.state != State::kAtWarpBarrier || lane.mask != mask) {
        complete = false;
        break;
      }
      if (!same_place(lane.where, where)) {
        throw Error("one warp waits at different operations: " + describe(where) + " and " + describe(lane.where));
      }
      words[k] = lane.published;
    }
    if (!complete) continue;
    for (unsigned k = 0; k < lanes; ++k) {
      if ((mask >> k & 1u) == 0) continue;
      std::memcpy(threads_[first_lane + k]->received, words, sizeof words);
      threads_[first_lane + k]->state = State::kReady;
    }
    released = true;
  }
  return released;
}

bool Block::release_block() {
  const Thread* first = nullptr;
  for (const auto& thread : threads_) {
    if (thread->state == State::kAtBlockBarrier && first == nullptr) first = thread.get();
  }
  if (first == nullptr) return false;
  for (const auto& thread : threads_) {
    if (thread->state != State::kAtBlockBarrier && thread->state != State::kDone) return false;
    if (thread->state == State::kDone) {
      throw Error("divergent barrier: a thread left while others wait at " + describe(first->where));
    }
    if (!same_place(thread->where, first->where)) {
      throw Error("divergent barrier: threads wait at " + describe(first->where) + " and " + describe(thread->where));
    }
  }
  for (const auto& thread : threads_) thread->state = State::kReady;
  return true;
}

// Lets go the threads at a named barrier once as many wait there as each of them expects.
bool Block::release_named(unsigned barrier) {
  const Thread* first = nullptr;
  unsigned waiting = 0;
  for (const auto& thread : threads_) {
    if (thread->state != State::kAtNamedBarrier || thread->mask % kNamedBarriers != barrier) continue;
    if (first == nullptr) first = thread.get();
    if (thread->mask != first->mask) {
      throw Error("threads expect different numbers at one barrier, at " + describe(thread->where));
    }
    ++waiting;
  }
  if (first == nullptr || waiting < first->mask / kNamedBarriers) return false;
  if (waiting > first->mask / kNamedBarriers)
    throw Error("too many threads at the barrier at " + describe(first->where));
  for (const auto& thread : threads_) {
    if (thread->state == State::kAtNamedBarrier && thread->mask % kNamedBarriers == barrier) {
      thread->state = State::kReady;
    }
  }
  return true;
}

void Block::check_memory() {
  for (const auto& array : arrays_) {
    if (!array->intact()) throw Error("a write went beyond the end of a shared array");
  }
  if (!dynamic_->intact()) throw Error("a write went beyond the end of the dynamic shared memory");
}

void Block::report_deadlock() const {
  std::string message = "deadlock:";
  for (unsigned t = 0; t < thread_count() && message.size() < 400; ++t) {
    if (threads_[t]->state == State::kDone) continue;
    message += " thread " + std::to_string(t) + " waits at " + describe(threads_[t]->where) + ";";
  }
  throw Error(message);
}

void* Block::shared_array(const void* key, std::size_t bytes) {
  for (const auto& array : arrays_) {
    if (array->key() == key) return array->data();
  }
  arrays_.push_back(std::make_unique<SharedArray>(key, bytes));
  return arrays_.back()->data();
}

void Block::wait(State state, std::uint32_t mask, const Location& where) {
  Thread& self = thread();
  self.state = state;
  self.mask = mask;
  self.where = where;
  self.fibre.yield();
}

}  // namespace

std::string Schedule::name() const {
  if (order == Order::kForward) return "forward";
  if (order == Order::kWarps) return "warp by warp";
  return order == Order::kReverse ? "reverse" : "random " + std::to_string(seed);
}

std::vector<Schedule> all_schedules() {
  return {{Order::kForward, 0}, {Order::kReverse, 0}, {Order::kRandom, 1}, {Order::kRandom, 2}, {Order::kWarps, 0}};
}

void run(unsigned grid, unsigned block, std::size_t shared_bytes, Schedule schedule,
         const std::function<void()>& kernel) {
  gridDim.x = grid;
  blockDim.x = block;
  std::vector<unsigned> blocks(grid);
  std::iota(blocks.begin(), blocks.end(), 0u);
  if (schedule.order == Order::kReverse) std::reverse(blocks.begin(), blocks.end());
  if (schedule.order == Order::kRandom) std::shuffle(blocks.begin(), blocks.end(), std::mt19937_64(schedule.seed));
  Block executor(block, shared_bytes, schedule, kernel);
  struct Deactivate {
    ~Deactivate() { active_block = nullptr; }
  } deactivate;
  for (const unsigned b : blocks) executor.execute(b);
}

std::vector<Location> barriers_of(const std::function<void()>& launches) {
  std::vector<Location> places;
  const Assigned<std::vector<Location>*> note(reached_barriers, &places);
  launches();
  return places;
}

void run_without(const Location& barrier, const std::function<void()>& launches) {
  const Assigned<const Location*> remove(removed_barrier, &barrier);
  launches();
}

namespace detail {

void* shared_array(const void* key, std::size_t bytes) { return active().shared_array(key, bytes); }

void* dynamic_shared() { return active().dynamic_shared(); }

void block_barrier(const Location& where) {
  if (reach_barrier(where)) active().wait(State::kAtBlockBarrier, 0, where);
}

void warp_barrier(std::uint32_t mask, const Location& where) {
  if (reach_barrier(where)) exchange(mask, 0, where);
}

void named_barrier(unsigned barrier, unsigned threads, const Location& where) {
  if (barrier == 0 || barrier >= kNamedBarriers) throw Error("no such barrier, at " + describe(where));
  active().wait(State::kAtNamedBarrier, threads * kNamedBarriers + barrier, where);
}

std::uint32_t present(std::uint32_t mask) {
  const unsigned lanes = std::min(32u, active().thread_count() - active().current() / 32 * 32);
  return lanes == 32 ? mask : mask & ((1u << lanes) - 1);
}

void require_lane(std::uint32_t mask, unsigned lane, const Location& where) {
  if ((present(mask) >> lane & 1u) == 0) {
    throw Error("a shuffle reads lane " + std::to_string(lane) + ", which takes no part, at " + describe(where));
  }
}

const std::uint64_t* exchange(std::uint32_t mask, std::uint64_t word, const Location& where) {
  require_lane(mask, active().current() % 32, where);
  active().thread().published = word;
  active().wait(State::kAtWarpBarrier, present(mask), where);
  return active().thread().received;
}

const std::uint64_t* matrix_rows(const void* row, const Location& where) {
  const auto address = reinterpret_cast<std::uintptr_t>(row);
  if (address % 16 != 0) throw Error("a row of a matrix is not aligned to 16 bytes, at " + describe(where));
  return exchange(0xffffffffu, address, where);
}

}  // namespace detail
}  // namespace simt
