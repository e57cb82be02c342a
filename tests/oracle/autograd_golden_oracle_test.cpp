// SPDX-License-Identifier: Apache-2.0
// The committed files of tests/golden/autograd are what autograd gives today. STAMPEDE_WRITE_GOLDEN=1 writes them anew.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>

#include "tests/oracle/random_cases.h"

namespace stampede {
namespace {

// Nine digits name a float exactly.
std::string text_of(float value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", static_cast<double>(value));
  return text;
}

std::string text_of(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.12g", value);
  return text;
}

// One line of cells.
class Line {
 public:
  Line& operator<<(const std::string& cell) {
    text_ += (text_.empty() ? "" : ",") + cell;
    return *this;
  }
  template <class T>
  Line& operator<<(T number) {
    return *this << text_of(number);
  }
  template <class T>
  Line& operator<<(const std::vector<T>& numbers) {
    for (const T number : numbers) *this << number;
    return *this;
  }
  std::string text() const { return text_ + "\n"; }

 private:
  std::string text_;
};

std::string numbered(const std::string& name, std::size_t count) {
  std::string labels;
  for (std::size_t j = 0; j < count; ++j) labels += "," + name + "_" + std::to_string(j);
  return labels;
}

std::string policy_file(const std::vector<PolicyCase>& cases) {
  const PolicyCase& first = cases.front();
  const std::size_t n = first.policy.size(), sigmas = first.log_sigma.size();
  std::string text = "clip,value_clip,entropy_weight,value_weight,old_log_prob,old_value,advantage,target,value" +
                     numbered("output", n) + numbered("log_sigma", sigmas) + numbered("action", first.action.size()) +
                     ",policy_loss,value_loss,entropy,d_value" + numbered("doutput", n) + numbered("dsigma", sigmas) +
                     "\n";
  for (const PolicyCase& row : cases) {
    const PolicyReference r = policy_reference(row);
    const PpoLossConfig& c = row.config;
    const PolicySample& s = row.sample;
    Line line;
    line << c.clip << c.value_clip << c.entropy_weight << c.value_weight << s.old_log_prob << s.old_value << s.advantage
         << s.target << row.value << row.policy << row.log_sigma << row.action << r.policy_loss << r.value_loss
         << r.entropy << r.d_value << r.d_policy << r.d_log_sigma;
    text += line.text();
  }
  return text;
}

std::string td_file() {
  std::string text = "q,target,huber,d_huber,squared,d_squared\n";
  for (std::size_t i = 0; i < 33; ++i) {
    const float q = 3.0f * random_value(31, i), target = 3.0f * random_value(32, i);
    const TdReference huber = td_reference(TdLoss::kHuber, q, target),
                      squared = td_reference(TdLoss::kSquared, q, target);
    Line line;
    line << q << target << huber.loss << huber.d_q << squared.loss << squared.d_q;
    text += line.text();
  }
  return text;
}

// Parameters with their gradients, inputs with theirs, outputs with the derivatives that were propagated back.
std::string mlp_file(const NetworkSpec& spec) {
  const NetworkCase c(spec, 3);
  const MlpReference r = mlp_reference(spec, c.parameters.data(), c.input(), c.rows, c.d_outputs.data());
  std::string text = "kind,name,row,column,value,derivative\n";
  const auto add = [&](const std::string& kind, const std::string& name, int row, int column, auto value,
                       auto derivative) {
    Line line;
    line << kind << name << std::to_string(row) << std::to_string(column) << value << derivative;
    text += line.text();
  };
  for (const TensorLayout& t : spec.tensors()) {
    for (int row = 0; row < t.rows; ++row) {
      for (int column = 0; column < std::max(t.columns, 1); ++column) {
        const std::size_t at = t.offset + static_cast<std::size_t>(row) * t.row_stride +
                               static_cast<std::size_t>(column) * t.column_stride;
        add("parameter", t.name, row, column, c.parameters.data()[at], r.gradients[at]);
      }
    }
  }
  for (int row = 0; row < c.rows; ++row) {
    for (int column = 0; column < spec.input_size(); ++column) {
      const auto at = static_cast<std::size_t>(row * spec.input_stride() + column);
      add("input", "", row, column, c.features.data()[at], r.d_inputs[at]);
    }
    for (const HeadLayout& head : spec.heads()) {
      for (int column = 0; column < head.size; ++column) {
        const auto at = static_cast<std::size_t>(row * spec.output_stride() + head.column + column);
        add("output", head.name, row, column, r.outputs[at], c.d_outputs.data()[at]);
      }
    }
  }
  return text;
}

NetworkSpec shared_tanh() {
  return {3, false, {{"torso", {5, 4}, Activation::kTanh, {{"policy", 2, 0.01f}, {"value", 1, 1.0f}}}}};
}

NetworkSpec separate_relu() {
  return {3,
          false,
          {{"actor", {5}, Activation::kRelu, {{"policy", 2, 0.01f}}},
           {"critic", {4, 3}, Activation::kRelu, {{"value", 1, 1.0f}}}}};
}

std::vector<std::string> cells(const std::string& text) {
  std::vector<std::string> result;
  std::string cell;
  for (std::istringstream lines(text); std::getline(lines, cell);) {
    std::istringstream line(cell);
    for (std::string part; std::getline(line, part, ',');) result.push_back(part);
  }
  return result;
}

// Numbers may differ by the last digits of another machine's exp and log.
bool same_cell(const std::string& a, const std::string& b) {
  if (a == b) return true;
  char *end_a, *end_b;
  const double x = std::strtod(a.c_str(), &end_a), y = std::strtod(b.c_str(), &end_b);
  return end_a != a.c_str() && end_b != b.c_str() && std::fabs(x - y) <= 1e-9 * std::max(1.0, std::fabs(x));
}

void check_file(const std::string& name, const std::string& text) {
  const std::string path = STAMPEDE_SOURCE_DIR "/tests/golden/autograd/" + name + ".csv";
  if (std::getenv("STAMPEDE_WRITE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream in(path);
  std::stringstream committed;
  committed << in.rdbuf();
  const std::vector<std::string> expected = cells(committed.str()), actual = cells(text);
  ASSERT_EQ(expected.size(), actual.size()) << path;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_TRUE(same_cell(expected[i], actual[i])) << path << " has " << expected[i] << ", autograd " << actual[i];
  }
}

TEST(AutogradGolden, CommittedFilesAreWhatAutogradGives) {
  check_file("ppo_categorical", policy_file(categorical_cases(31, 5)));
  check_file("ppo_gaussian", policy_file(gaussian_cases(31, 3)));
  check_file("td", td_file());
  check_file("mlp_shared_tanh", mlp_file(shared_tanh()));
  check_file("mlp_separate_relu", mlp_file(separate_relu()));
}

}  // namespace
}  // namespace stampede
