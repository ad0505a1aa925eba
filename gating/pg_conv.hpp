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
  /// Whether sums of levels are exact in fp32, for a source of this shape. Then inference counts in levels, unless it
  /// is in bf16, and gives the same bits however it computes them.
  bool has_exact_sums(const Shape& src) const;
  bool counts_levels(const OpRequest& request) const {
    const bool in_bf16 = request.src[0].type == DataType::kBF16 || request.dst.type == DataType::kBF16;
    return !in_bf16 && has_exact_sums(request.src[0].shape);
  }
  /// Whether inference that counts in levels can skip.
  bool may_skip(const Shape& src) const;
  /// Whether inference can multiply by population count: weights of one bit, a bipolar source of two, gates of single
  /// outputs.
  bool counts_bits(const OpRequest& request) const;
};

/// Both products everywhere, and their gradients.
std::unique_ptr<Op> make_pg_training(const OpRequest& request, const PgOptions& options, OpNeeds& needs);
/// Inference that computes both products everywhere.
std::unique_ptr<Op> make_pg_inference(const OpRequest& request, const PgOptions& options, OpNeeds& needs);
/// Inference that computes all bits where gates are open. Null where it does not count in levels, or has groups.
std::unique_ptr<Op> make_pg_skipping(const OpRequest& request, const PgOptions& options, OpNeeds& needs);
/// Inference by population count, the low bits where gates are open. Null where PgOptions::counts_bits is false.
std::unique_ptr<Op> make_pg_signs(const OpRequest& request, const PgOptions& options, OpNeeds& needs);

}  // namespace sluice
