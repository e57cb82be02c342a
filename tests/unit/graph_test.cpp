// SPDX-License-Identifier: Apache-2.0
// When a graph is captured, updated, made anew and launched; the CUDA calls are replaced by ones that write them down.
#include "kernels/graph.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace stampede {
namespace {

// What the calls did, and what the next ones answer.
struct Record {
  std::vector<std::string> calls;
  int nodes = 7;  // of the next capture
  int shape = 0;  // of the next capture: what else its nodes are
};

class RecordedCalls final : public GraphCalls {
 public:
  explicit RecordedCalls(Record& record) : record_(record) {}
  void begin_capture() override { add("begin"); }
  int end_capture() override {
    add("end");
    return record_.nodes;
  }
  void abandon_capture() noexcept override { add("abandon"); }
  bool update(int slot) override {
    add("update " + std::to_string(slot));
    return shapes_[slot] == record_.shape;
  }
  void instantiate(int slot) override {
    add("instantiate " + std::to_string(slot));
    shapes_[slot] = record_.shape;
  }
  void launch(int slot) override { add("launch " + std::to_string(slot)); }

 private:
  void add(const std::string& call) { record_.calls.push_back(call); }

  Record& record_;
  int shapes_[Graph::kKept] = {};
};

class GraphTest : public testing::Test {
 protected:
  using Calls = std::vector<std::string>;

  // The calls of one run whose work has this many nodes.
  Calls run(int nodes) {
    record_.nodes = nodes;
    record_.calls.clear();
    graph_.run([this] { record_.calls.emplace_back("work"); });
    return record_.calls;
  }
  void warm_up() {
    for (int k = 0; k < Graph::kWarmUps; ++k) EXPECT_EQ(run(7), Calls{"work"});
  }

  Record record_;
  Graph graph_{std::make_unique<RecordedCalls>(record_)};
};

TEST_F(GraphTest, WarmsUpThenCapturesOnceAndUpdates) {
  warm_up();
  EXPECT_EQ(graph_.nodes(), 0);
  EXPECT_EQ(run(7), (Calls{"begin", "work", "end", "instantiate 0", "launch 0"}));
  EXPECT_EQ(run(7), (Calls{"begin", "work", "end", "update 0", "launch 0"}));
  EXPECT_EQ(graph_.nodes(), 7);
  EXPECT_EQ(graph_.instantiations(), 1);
}

TEST_F(GraphTest, KeepsOneExecutableForEachShape) {
  warm_up();
  run(7);
  EXPECT_EQ(run(9), (Calls{"begin", "work", "end", "instantiate 1", "launch 1"}));
  EXPECT_EQ(run(7), (Calls{"begin", "work", "end", "update 0", "launch 0"}));
  EXPECT_EQ(run(9), (Calls{"begin", "work", "end", "update 1", "launch 1"}));
  EXPECT_EQ(graph_.instantiations(), 2);
}

TEST_F(GraphTest, OtherKernelsInAsManyNodesAreAShapeOfTheirOwn) {
  warm_up();
  run(7);
  record_.shape = 1;
  EXPECT_EQ(run(7), (Calls{"begin", "work", "end", "update 0", "instantiate 1", "launch 1"}));
  EXPECT_EQ(run(7), (Calls{"begin", "work", "end", "update 0", "update 1", "launch 1"}));
  record_.shape = 0;
  EXPECT_EQ(run(7), (Calls{"begin", "work", "end", "update 0", "launch 0"}));
  EXPECT_EQ(graph_.instantiations(), 2);
}

TEST_F(GraphTest, TheOldestShapesAreReplaced) {
  warm_up();
  for (int k = 0; k < Graph::kKept; ++k) {
    const std::string slot = std::to_string(k);
    EXPECT_EQ(run(10 + k), (Calls{"begin", "work", "end", "instantiate " + slot, "launch " + slot}));
  }
  EXPECT_EQ(run(20), (Calls{"begin", "work", "end", "instantiate 0", "launch 0"}));
  EXPECT_EQ(run(20), (Calls{"begin", "work", "end", "update 0", "launch 0"}));
  EXPECT_EQ(run(21), (Calls{"begin", "work", "end", "instantiate 1", "launch 1"}));
  EXPECT_EQ(run(10), (Calls{"begin", "work", "end", "instantiate 2", "launch 2"}));
  EXPECT_EQ(run(13), (Calls{"begin", "work", "end", "update 3", "launch 3"}));
}

TEST_F(GraphTest, WorkWithoutNodesIsNotLaunched) {
  warm_up();
  EXPECT_EQ(run(0), (Calls{"begin", "work", "end"}));
}

TEST_F(GraphTest, AnExceptionAbandonsTheCapture) {
  warm_up();
  record_.calls.clear();
  EXPECT_THROW(graph_.run([] { throw std::runtime_error("in the work"); }), std::runtime_error);
  EXPECT_EQ(record_.calls, (Calls{"begin", "abandon"}));
  EXPECT_EQ(run(7), (Calls{"begin", "work", "end", "instantiate 0", "launch 0"}));
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
