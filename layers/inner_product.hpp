// oneDNN's fully connected products, always in fp32, with their weights: what linear layers have in common.
#pragma once

#include <cstdint>
#include <string>

#include "core/config/keys.hpp"
#include "core/graph/layer.hpp"
#include "core/graph/onednn.hpp"

namespace sluice {

/// Keys and shapes. src: N x I, or N x C x H x W taken as I = C H W in that order; weights: O x I; dst: N x O in fp32.
struct LinearGeometry {
  std::int64_t features = 0;  ///< O
  bool bias = true;
  double init_scale = 1;  ///< of the initial weights

  void describe(Keys& keys);
  /// Result, weight (parameter 0) and bias (parameter 1); throws ShapeError where the source does not fit.
  void declare(const Shape& src, Declarations& declare) const;
  void describe(Attributes& attributes) const;
  static std::int64_t inputs(const Shape& src) { return src.count() / src[kN]; }
};

/// dst = src W^T + bias in one executor; W is the layer's parameter 0 or made of it, the bias its parameter 1. Sources
/// of another type than fp32 are converted. Of training: the gradients too.
class InnerProduct {
 public:
  InnerProduct() = default;
  /// Makes the primitives and books memory behind what `frames` stand at. `own_source`: the caller multiplies something
  /// else than the layer's source, like source().
  InnerProduct(const LinearGeometry& geometry, const OpRequest& request, bool own_source, OpNeeds& needs,
               const Frames& frames);

  /// fp32, in the layout of the layer's source.
  const TensorDesc& source() const { return src_.desc; }
  bool needs_diff_src() const { return !backward_data_.empty(); }

  /// Takes plain weights into oneDNN's layouts.
  void pack_forward(const Memory& memory, const float* weights) { pack_.run(memory, {weights, memory[packed_]}); }
  void pack_backward(const Memory& memory, const float* weights) {
    if (needs_diff_src()) pack_data_.run(memory, {weights, memory[packed_data_]});
  }

  /// fp32 values of the layer's source, in forward and in backward: its own memory, or converted.
  const float* forward_source(const Context& c) const { return converted(c, src_); }
  const float* backward_source(const Context& c) const { return converted(c, backward_src_); }
  /// Scratch memory of forward for what the caller multiplies; it may be where a converted source stands.
  float* own_source(const Context& c) const { return c.memory[src_].as<float>(); }
  void forward(const Context& c, const float* source, const float* bias);
  /// Adds to the plain `diff_weights`, and to the bias' gradient.
  void backward_weights(const Context& c, const float* source, float* diff_weights);
  /// The gradient of the source in fp32: in its own memory or, where that is of another type, in the scratch memory;
  /// convert_diff_src then takes it over. To be called only if needs_diff_src().
  const Tensor& backward_data(const Context& c);
  void convert_diff_src(const Context& c, const Tensor& diff_src) const;

 private:
  /// oneDNN's views of the operands.
  struct Operands;
  void set_up_backward(const Operands& operands, const dnnl::inner_product_forward::primitive_desc& forward,
                       bool needs_diff_src, OpNeeds& needs, Frames frames);
  const float* converted(const Context& c, const BookedTensor& slot) const;

  LinearGeometry geometry_;
  bool convert_ = false;
  BookedTensor src_, backward_src_;  ///< converted
  Tensor diff_src_;                  ///< fp32, in a call
  Slot<std::byte> packed_, packed_data_, diff_weights_;
  Slot<float> zeros_, diff_bias_;
  onednn::Operation forward_, pack_, backward_weights_, unpack_, backward_data_, pack_data_;
};

}  // namespace sluice
