// Quantisers in double, element by element: for references of quantised layers.
#pragma once

#include "tests/layers/harness/reference.hpp"

namespace sluice {

/// The keys of a quantised layer.
struct QuantizeKeys {
  explicit QuantizeKeys(const ReferenceKeys& keys);
  std::int64_t weight_bits, activation_bits;
  bool signed_weights, frozen, by_image, bipolar;
  double weight_clip;
  double weight_levels() const;
  double activation_levels() const;
};

/// max |x| + 1e-7, in fp32.
double largest_magnitude(const Array& x);
/// One for all of a source, or one for each image.
using Scales = std::vector<double>;
/// Those of a batch.
Scales batch_scales(const QuantizeKeys& keys, const Array& x);
/// What evaluation or training scales a source by; training moves the running estimate.
Scales reference_scales(const QuantizeKeys& keys, const ReferenceCall& call);

/// Q(x) with `levels` on each side of 0; bits 0 and 1 as documented.
Array quantized(const Array& x, std::int64_t bits, double levels, const Scales& scales);
/// T(x): the level without its magnitude modulo `step`.
Array truncated(const Array& x, double levels, const Scales& scales, double step);
/// Q and T of a source by the keys: those above, or of bipolar levels.
Array quantized_source(const QuantizeKeys& keys, const Array& x, const Scales& scales);
Array truncated_source(const QuantizeKeys& keys, const Array& x, const Scales& scales, double step);
/// Q(weight) of a layer, rescaled where it has 1 bit. The first axis of the weights counts outputs.
Array quantized_weights(const QuantizeKeys& keys, const Array& weight);
double weight_rescale(const QuantizeKeys& keys, const Array& weight);

/// diff where the gradient of Q passes, else 0.
Array straight_through(const Array& x, std::int64_t bits, Array diff);
Array straight_through_source(const QuantizeKeys& keys, const Array& x, Array diff);
Array straight_through_weights(const QuantizeKeys& keys, const Array& weight, Array diff);

}  // namespace sluice
