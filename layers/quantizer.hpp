// Quantisers: numbers become whole levels times one scale for the whole tensor. Levels are what convolutions work on:
// whole numbers up to 256 are exact in bfloat16, and sums of their products are exact in fp32 below 2^24.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/bfloat16.hpp"
#include "core/config/keys.hpp"
#include "core/graph/layer.hpp"
#include "core/graph/tensor.hpp"

namespace sluice {

/// How many levels a quantiser of b > 1 bits has on each side of 0.
enum class LevelSet {
  kFull,    ///< 2^b - 1: a sign and b bits, as published
  kSigned,  ///< 2^(b-1) - 1: fits a signed integer of b bits
  kBipolar  ///< 2^b - 1, of which the odd ones alone are taken: 2^b numbers of one distance, 0 not among them
};

/// Q(x; b), for whole tensors:
///   b = 0: x itself
///   b = 1: 2 round((x + 1) / 2) - 1 with x clamped to [-1, 1]: -1 or 1
///   b > 1: sign(x) scale round(min(|x| / scale, 1) n) / n with n levels; scale = max |x| + 1e-7, or a frozen one
///   bipolar: 2 round((x + 1) n / 2) / n - 1 with x clamped to [-1, 1]; of 2 bits -1, -1/3, 1/3 and 1
/// Rounding takes ties to even. Backward is straight through: the gradient passes unchanged, for b > 1 everywhere but
/// at x = 0, where it is 0 (of sign(x) |x|), and for bipolar levels where -1 < x < 1 alone.
struct Quantizer {
  std::int64_t bits = 0;
  LevelSet set = LevelSet::kFull;

  bool is_identity() const { return bits == 0; }
  bool is_bipolar() const { return bits > 0 && set == LevelSet::kBipolar; }
  bool is_binary() const { return bits == 1 && !is_bipolar(); }
  bool has_scale() const { return bits > 1 && !is_bipolar(); }
  /// n; 1 for a binary quantiser.
  std::int64_t levels() const;
  /// What one level stands for. `scale` is 1 where there is none.
  float unit(float scale) const { return scale / static_cast<float>(levels()); }
};

/// max |x| + 1e-7 of a whole tensor (any of the floating-point types), the same for any number of threads; NaN where
/// there is one.
float dynamic_scale(const Tensor& src);

/// Writes the levels of `src` (b > 0), in its layout. Types: levels as bf16 only for sources of that type or fp32.
void quantize(const Quantizer& quantizer, float scale, const Tensor& src, const Tensor& levels);

/// Truncation T(x; B, kept) for b > 1: `base` are the levels with all but the `kept` highest bits of their magnitude
/// cut off, `rest` what was cut off. Of bipolar levels the bits are those of their number, from 0 for the lowest, and
/// `base` is the middle of the levels that agree in the kept ones: with 1 of 2 bits -2 or 2, and `rest` -1 or 1.
void quantize_split(const Quantizer& quantizer, std::int64_t kept, float scale, const Tensor& src, const Tensor& base,
                    const Tensor& rest);

/// The backward rule for b > 1: diff = 0 where levels (or base) say that the source was 0.
void mask_gradient(const Tensor& levels, const Tensor& diff);
/// That of bipolar levels: diff = 0 unless -1 < src < 1. Both in one layout and type.
void mask_outside(const Tensor& src, const Tensor& diff);

/// Levels as fp32 numbers.
void widen_levels(const Tensor& levels, float* dst);

/// Levels from 0 to 255 (fp32, NHWC) as bytes; `pairs`: each pixel has twice its levels first, up to 255 as well, then
/// the levels. False where there is a NaN.
bool narrow_levels(const Tensor& levels, bool pairs, std::uint8_t* dst);

/// Where whole numbers cannot tell: the results of those images become what is no number whose source holds such. Both
/// are in fp32, or in levels (kNoLevel).
void spread_nans(const Tensor& src, const Tensor& dst);

/// Whose largest magnitude scales a source.
enum class SourceScale {
  kFrozen,  ///< the batch's in training; in evaluation a running estimate of it
  kBatch,   ///< the batch's
  kImage    ///< each image has its own
};

/// Keys that every quantised layer has.
struct QuantizationOptions {
  std::int64_t weight_bits = 8;
  std::int64_t activation_bits = 8;
  LevelSet weight_levels = LevelSet::kFull;
  LevelSet activation_levels = LevelSet::kFull;  ///< or kBipolar
  double weight_clip = 0;                        ///< of 1-bit weights: beyond it no gradient passes; 0: all does
  SourceScale scales = SourceScale::kFrozen;

  void describe(Keys& keys);
  /// Keys of convolutions alone: bipolar levels, and the clip of 1-bit weights.
  void describe_signs(Keys& keys);
  void describe(Attributes& attributes) const;
  Quantizer weights() const { return {weight_bits, weight_levels}; }
  Quantizer activations() const { return {activation_bits, activation_levels}; }
  bool frozen() const { return scales == SourceScale::kFrozen; }
  /// Then what is multiplied are no levels but what they stand for, in floating point.
  bool by_image() const { return scales == SourceScale::kImage && activations().has_scale(); }
  /// What 1 of an operand stands for (quantize_source).
  float unit(float scale) const { return by_image() ? 1.0F : activations().unit(scale); }
  /// That, where it is the same for every source.
  std::optional<float> fixed_unit() const;
  /// The buffer of one number that source_scale keeps the source's scale in: the layer's first.
  void declare_scale(Declarations& declare) const;
  /// What may stand for the source in inference (Declarations::src_levels): levels of a frozen scale that fit a byte.
  std::optional<SourceLevels> source_levels() const;
  /// What a multiply-add counts with: 32 bits where it is in floating point.
  int weight_cost_bits() const { return weight_bits == 0 ? 32 : static_cast<int>(weight_bits); }
  int activation_cost_bits() const { return activation_bits == 0 ? 32 : static_cast<int>(activation_bits); }
  /// Whether both operands are whole levels and fp32 holds every sum of `terms` products of them: then sums are exact,
  /// whatever adds them up.
  bool has_exact_sums(std::int64_t terms) const;
  /// The same of levels that fit 16 bits, pairs of which kernels of whole numbers multiply.
  bool has_exact_pairs(std::int64_t terms) const;
  /// What levels of activations are stored as, for sums of `terms` products: bf16 in bf16 networks and where that is
  /// exact and the processor computes in it, else fp32.
  DataType operand_type(DataType activation, std::int64_t terms) const;
  /// What 1-bit weights are multiplied by: sqrt(1 / terms); 1 for others.
  float weight_rescale(std::int64_t terms) const;
};

/// The scale of a layer's source in training: that of the batch, with `share` of the whole one. Keeps a running
/// estimate in `stored` (0: nothing yet).
float batch_scale(const QuantizationOptions& options, const Tensor& src, float& stored, const BatchShare* share);
/// In evaluation: the stored one if it is frozen and there is one, else the batch's.
float stored_scale(const QuantizationOptions& options, const Tensor& src, float stored);
/// The operand that a source becomes by that scale: levels, or with scales by image what these stand for.
void quantize_source(const QuantizationOptions& options, float scale, const Tensor& src, const Tensor& operand);
/// The same of both parts of quantize_split.
void split_source(const QuantizationOptions& options, std::int64_t kept, float scale, const Tensor& src,
                  const Tensor& base, const Tensor& rest);

/// The weights of a layer in one executor: fp32, row-major, `terms` for each output.
class QuantizedWeights {
 public:
  QuantizedWeights() = default;
  QuantizedWeights(const QuantizationOptions& options, std::int64_t count, std::int64_t terms);

  std::int64_t count() const { return count_; }
  /// Writes levels (the weights themselves for 0 bits); returns what one level stands for.
  float quantize(const float* weights, float* levels) const;
  /// levels *= unit.
  void restore(float unit, float* levels) const;
  /// diff_weights += diff times `unit` (of the source's levels) and the rescaling, where the weight is not 0; of 1 bit
  /// where it is not beyond the clip.
  void add_gradient(const float* weights, const float* diff, float unit, float* diff_weights) const;

 private:
  Quantizer quantizer_;
  std::int64_t count_ = 0;
  float rescale_ = 1;
  float clip_ = 0;  ///< 0: gradients pass everywhere
};

}  // namespace sluice
