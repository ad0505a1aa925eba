// What the operations of a precision-gated convolution have in common (gating/pg_conv.cpp has the layer and its
// formulas).
#pragma once

#include <memory>

#include "core/graph/op.hpp"
#include "gating/gate.hpp"
#include "layers/conv_geometry.hpp"
#include "layers/quantizer.hpp"

namespace sluice {

struct PgOptions {
  ConvGeometry geometry;
  QuantizationOptions quantization;
  GateOptions gate;
  std::int64_t prediction_bits = 2;

  /// T(src) are the multiples of this among the levels.
  std::int64_t step() const { return std::int64_t{1} << (quantization.activation_bits - prediction_bits); }
  /// Inference in fp32 counts in levels wherever their sums are exact: then it gives the same bits however it computes
  /// them. (`request`: of the layer.)
  bool counts_levels(const OpRequest& request) const;
};

/// Both products everywhere, and their gradients.
std::unique_ptr<Op> make_pg_training(const OpRequest& request, const PgOptions& options, OpNeeds& needs);
/// Inference that computes both products everywhere.
std::unique_ptr<Op> make_pg_inference(const OpRequest& request, const PgOptions& options, OpNeeds& needs);
/// Inference that computes all bits where gates are open. Null where it does not count in levels, or has groups.
std::unique_ptr<Op> make_pg_skipping(const OpRequest& request, const PgOptions& options, OpNeeds& needs);

}  // namespace sluice
