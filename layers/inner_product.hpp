// oneDNN's fully connected products, always in fp32, with their weights: what linear layers have in common.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "core/base/buffer.hpp"
#include "core/config/keys.hpp"
#include "core/graph/layer.hpp"
#include "core/graph/onednn.hpp"

namespace sluice {

/// Keys and shapes. src: N x I, or N x C x H x W taken as I = C H W in that order; weights: O x I; dst: N x O in fp32.
struct LinearGeometry {
  std::int64_t channels = 0;  ///< O
  bool bias = true;

  void describe(Keys& keys);
  /// Result, weight (parameter 0) and bias (parameter 1); throws ShapeError where the source does not fit.
  void declare(const Shape& src, Declarations& declare) const;
  static std::int64_t inputs(const Shape& src) { return src.count() / src[kN]; }
};

/// dst = src W^T + bias in one executor. Sources of another type than fp32 are converted in the scratch memory, whose
/// first `source_bytes()` are for that.
class InnerProduct {
 public:
  InnerProduct() = default;
  /// Makes the primitives and asks for all memory. `own_source`: the caller writes what is multiplied to the first
  /// source_bytes() of the scratch memory, instead of the layer's source.
  InnerProduct(const LinearGeometry& geometry, Setup& setup, bool own_source);

  const TensorDesc& source() const { return src_; }
  std::int64_t source_bytes() const { return source_bytes_; }
  /// What forward and backward use of the scratch memory; asked for already.
  std::int64_t scratch_bytes() const { return scratch_bytes_; }
  bool needs_diff_src() const { return !backward_data_.empty(); }

  /// Takes plain weights into oneDNN's layouts; `scratch` holds pack_scratch_bytes().
  std::int64_t pack_scratch_bytes() const { return std::max(pack_.scratch_bytes(), pack_data_.scratch_bytes()); }
  void pack_forward(Context& c, const float* weights, void* scratch);
  void pack_backward(Context& c, const float* weights, void* scratch);

  /// fp32 values of the layer's source: its own memory, or converted.
  const float* converted_source(const Context& c) const;
  void forward(Context& c, const float* source, const float* bias);
  /// Adds to the plain `diff_weights`, and to the bias' gradient.
  void backward_weights(Context& c, const float* source, float* diff_weights);
  /// The gradient of the source in fp32: in its own memory or, where that is of another type, in the scratch memory;
  /// convert_diff_src then takes it over. To be called only if needs_diff_src().
  const Tensor& backward_data(Context& c);
  void convert_diff_src(Context& c) const;

 private:
  void set_up_backward(Setup& setup, const dnnl::inner_product_forward::primitive_desc& forward,
                       const dnnl::memory::desc& src, const dnnl::memory::desc& weights, const dnnl::memory::desc& bias,
                       const dnnl::memory::desc& dst, const std::vector<std::int64_t>& dims);
  void request_scratch(Setup& setup, std::int64_t bytes);
  void* rest(Context& c) const { return static_cast<char*>(c.scratch) + source_bytes_; }

  LinearGeometry geometry_;
  bool convert_ = false;
  TensorDesc src_;
  Tensor diff_src_;
  std::int64_t source_bytes_ = 0, scratch_bytes_ = 0, diff_weights_bytes_ = 0;
  std::size_t packed_ = 0, zeros_ = 0, packed_data_ = 0;
  onednn::Operation forward_, pack_, backward_weights_, unpack_, backward_data_, pack_data_;
};

}  // namespace sluice
