// SPDX-License-Identifier: Apache-2.0
#include "agents/policy_tile.h"

#include <type_traits>

#include "kernels/buffer.h"

namespace stampede {
namespace {

template <class Policy>
struct ContinuousLossOp {
  Policy policy;
  PolicyLossRows<AnyPolicyLoss> rows;

  HD void operator()(int r) const {
    const int m = rows.tile.begin + r;
    const bool valid = rows.batch.valid[m] != 0;
    float metrics[PolicyRowMetrics::kSize];
    const PolicySample sample = rows.sample(m);
    continuous_policy_gradient(rows.loss, sample, policy, rows.output(r) + rows.layout.policy_column, rows.batch.raw(m),
                               valid ? rows.moments->divisor : 0.0f, rows.d_output(r) + rows.layout.policy_column,
                               metrics);
    rows.finish(r, valid, sample, metrics);
  }
};

}  // namespace

void clear_gradients(const Stream& stream, const PolicyLayout& layout, const PolicyTile& tile) {
  const auto n = static_cast<std::size_t>(tile.rows);
  fill_zero(stream, tile.d_outputs, n * static_cast<std::size_t>(layout.output_stride) * sizeof(float));
  if (layout.has_log_sigma_vector()) fill_zero(stream, tile.d_log_sigma, n * 16 * sizeof(float));
}

void run_policy_loss(const Stream& stream, const PolicyLossRows<AnyPolicyLoss>& rows) {
  const int n = rows.tile.rows;
  clear_gradients(stream, rows.layout, rows.tile);
  if (rows.layout.action.is_discrete()) {
    return for_each_index(stream, n, CategoricalLossOp<AnyPolicyLoss, 0>{rows});
  }
  if (rows.layout.has_log_sigma_vector()) return for_each_index(stream, n, GaussianLossOp<AnyPolicyLoss, 0>{rows});
  with_continuous_policy(rows.layout, [&](const auto& policy) {
    for_each_index(stream, n, ContinuousLossOp<std::decay_t<decltype(policy)>>{policy, rows});
  });
}

}  // namespace stampede
