// SPDX-License-Identifier: Apache-2.0
// When a graph is recorded or captured, changed, made anew and launched; the CUDA calls are replaced by ones that write
// them down.
#include "kernels/graph.h"

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace stampede {
namespace {

using Calls = std::vector<std::string>;

// What the calls did, and what the next ones answer.
struct Record {
  Calls calls;
  int nodes = 7;  // of the next capture
  int shape = 0;  // of the next capture: what else its nodes are
};

class RecordedCalls final : public GraphCalls {
 public:
  RecordedCalls(Record& record, WorkRecorder*& recorder) : record_(record), recorder_(recorder) {}
  void begin_recording(WorkRecorder& recorder) override {
    add("record");
    recorder_ = &recorder;
  }
  void end_recording() noexcept override {
    add("recorded");
    recorder_ = nullptr;
  }
  void build(int slot, const WorkList& work) override { add("build", slot, work.size()); }
  void change(int slot, std::size_t i, const WorkList&) override { add("change", slot, i); }
  void begin_capture() override { add("begin"); }
  void enqueue(const WorkList& work) override { add("enqueue", static_cast<int>(work.size())); }
  int end_capture() override {
    add("end");
    return record_.nodes;
  }
  void abandon_capture() noexcept override { add("abandon"); }
  bool update(int slot) override {
    add("update", slot);
    return shapes_[slot] == record_.shape;
  }
  void instantiate(int slot) override {
    add("instantiate", slot);
    shapes_[slot] = record_.shape;
  }
  void launch(int slot) override { add("launch", slot); }

 private:
  template <class... Numbers>
  void add(std::string call, Numbers... numbers) {
    ((call += " " + std::to_string(numbers)), ...);
    record_.calls.push_back(call);
  }

  Record& record_;
  WorkRecorder*& recorder_;
  int shapes_[Graph::kKept] = {};
};

class GraphTest : public testing::Test {
 protected:
  // The calls of one run that does this.
  Calls run(const std::function<void()>& work) {
    record_.calls.clear();
    graph_.run([&] {
      record_.calls.emplace_back("work");
      work();
    });
    return record_.calls;
  }
  void warm_up() {
    for (int k = 0; k < Graph::kWarmUps; ++k) EXPECT_EQ(run([] {}), Calls{"work"});
  }
  // Work that can be recorded: one kernel per number, which is its argument.
  Calls run_kernels(std::vector<int> arguments, const void* function = nullptr) {
    return run([&, function] { enqueue_kernels(arguments, function); });
  }
  void enqueue_kernels(const std::vector<int>& arguments, const void* function = nullptr) {
    for (const int& argument : arguments) recorder_->work().add(KernelLaunch{.function = function}, {{{&argument, 4}}});
  }

  Record record_;
  WorkRecorder* recorder_ = nullptr;
  Graph graph_{std::make_unique<RecordedCalls>(record_, recorder_)};
};

TEST_F(GraphTest, WarmsUpThenBuildsOnceAndChangesTheNodesThatDiffer) {
  warm_up();
  EXPECT_EQ(graph_.nodes(), 0);
  EXPECT_EQ(run_kernels({1, 2, 3}), (Calls{"record", "work", "recorded", "build 0 3", "launch 0"}));
  EXPECT_EQ(graph_.changed_nodes(), 3);
  EXPECT_EQ(run_kernels({1, 5, 3}), (Calls{"record", "work", "recorded", "change 0 1", "launch 0"}));
  EXPECT_EQ(graph_.changed_nodes(), 1);
  EXPECT_EQ(run_kernels({1, 5, 3}), (Calls{"record", "work", "recorded", "launch 0"}));
  EXPECT_EQ(graph_.changed_nodes(), 0);
  EXPECT_EQ(run_kernels({4, 5, 6}), (Calls{"record", "work", "recorded", "change 0 0", "change 0 2", "launch 0"}));
  EXPECT_EQ(graph_.nodes(), 3);
  EXPECT_EQ(graph_.instantiations(), 1);
}

TEST_F(GraphTest, KeepsOneExecutableForEachShape) {
  warm_up();
  const int other = 0;
  run_kernels({1, 2});
  EXPECT_EQ(run_kernels({1, 2, 3}), (Calls{"record", "work", "recorded", "build 1 3", "launch 1"}));
  EXPECT_EQ(run_kernels({1, 2}, &other), (Calls{"record", "work", "recorded", "build 2 2", "launch 2"}));
  EXPECT_EQ(run_kernels({1, 3}), (Calls{"record", "work", "recorded", "change 0 1", "launch 0"}));
  EXPECT_EQ(run_kernels({1, 3}, &other), (Calls{"record", "work", "recorded", "change 2 1", "launch 2"}));
  EXPECT_EQ(run_kernels({1, 2, 3}), (Calls{"record", "work", "recorded", "launch 1"}));
  EXPECT_EQ(graph_.instantiations(), 3);
}

TEST_F(GraphTest, TheOldestShapesAreReplaced) {
  warm_up();
  for (int k = 0; k < Graph::kKept; ++k) {
    const std::string slot = std::to_string(k), size = std::to_string(k + 1);
    EXPECT_EQ(run_kernels(std::vector<int>(static_cast<std::size_t>(k + 1))),
              (Calls{"record", "work", "recorded", "build " + slot + " " + size, "launch " + slot}));
  }
  EXPECT_EQ(run_kernels({0, 0, 0, 0, 0}), (Calls{"record", "work", "recorded", "build 0 5", "launch 0"}));
  EXPECT_EQ(run_kernels({0, 0, 0, 0, 1}), (Calls{"record", "work", "recorded", "change 0 4", "launch 0"}));
  EXPECT_EQ(run_kernels({0}), (Calls{"record", "work", "recorded", "build 1 1", "launch 1"}));
  EXPECT_EQ(run_kernels({0, 0, 0}), (Calls{"record", "work", "recorded", "launch 2"}));
}

TEST_F(GraphTest, WorkWithoutNodesIsNotLaunched) {
  warm_up();
  EXPECT_EQ(run([] {}), (Calls{"record", "work", "recorded"}));
}

TEST_F(GraphTest, AnExceptionEndsTheRecording) {
  warm_up();
  record_.calls.clear();
  EXPECT_THROW(graph_.run([] { throw std::runtime_error("in the work"); }), std::runtime_error);
  EXPECT_EQ(record_.calls, (Calls{"record", "recorded"}));
  EXPECT_EQ(run_kernels({1}), (Calls{"record", "work", "recorded", "build 0 1", "launch 0"}));
}

class CapturingGraphTest : public GraphTest {
 protected:
  // A recorded shape in slot 0, then a run that needs the stream.
  void SetUp() override {
    warm_up();
    run_kernels({1, 2});
    EXPECT_EQ(run([this] {
                enqueue_kernels({3, 4, 5});
                recorder_->interrupt();
              }),
              (Calls{"record", "work", "recorded", "begin", "enqueue 3", "end", "instantiate 0", "launch 0"}));
    EXPECT_EQ(graph_.nodes(), 7);
  }
  Calls run_captured(int nodes) {
    record_.nodes = nodes;
    return run([] {});
  }
};

TEST_F(CapturingGraphTest, CapturesAndUpdatesFromThenOn) {
  EXPECT_EQ(run_captured(7), (Calls{"begin", "work", "end", "update 0", "launch 0"}));
  EXPECT_EQ(graph_.changed_nodes(), 7);
  EXPECT_EQ(run_captured(9), (Calls{"begin", "work", "end", "instantiate 1", "launch 1"}));
  EXPECT_EQ(run_captured(7), (Calls{"begin", "work", "end", "update 0", "launch 0"}));
  EXPECT_EQ(run_captured(9), (Calls{"begin", "work", "end", "update 1", "launch 1"}));
  EXPECT_EQ(graph_.instantiations(), 3);
}

TEST_F(CapturingGraphTest, OtherKernelsInAsManyNodesAreAShapeOfTheirOwn) {
  record_.shape = 1;
  EXPECT_EQ(run_captured(7), (Calls{"begin", "work", "end", "update 0", "instantiate 1", "launch 1"}));
  EXPECT_EQ(run_captured(7), (Calls{"begin", "work", "end", "update 0", "update 1", "launch 1"}));
  record_.shape = 0;
  EXPECT_EQ(run_captured(7), (Calls{"begin", "work", "end", "update 0", "launch 0"}));
  EXPECT_EQ(graph_.instantiations(), 3);
}

TEST_F(CapturingGraphTest, AnExceptionAbandonsTheCapture) {
  record_.calls.clear();
  EXPECT_THROW(graph_.run([] { throw std::runtime_error("in the work"); }), std::runtime_error);
  EXPECT_EQ(record_.calls, (Calls{"begin", "abandon"}));
  EXPECT_EQ(run_captured(7), (Calls{"begin", "work", "end", "update 0", "launch 0"}));
}

TEST(GraphOfACpuStream, IsAPlainCall) {
  for (const bool enabled : {true, false}) {
    Graph graph(Stream::cpu(), enabled);
    int runs = 0;
    for (int k = 0; k < Graph::kWarmUps + 3; ++k) graph.run([&] { ++runs; });
    EXPECT_EQ(runs, Graph::kWarmUps + 3);
    EXPECT_EQ(graph.nodes(), 0);
  }
}

}  // namespace
}  // namespace stampede
