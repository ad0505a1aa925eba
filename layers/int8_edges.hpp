// Images in int8 (kU8, whole numbers of TensorDesc::scale) to and from floats, and how a layer that computes in floats
// stands between them.
#pragma once

#include "core/graph/layer.hpp"

namespace sluice {

/// dst is in int8: 0 to kMostInt8Level, ties to even, 0 for a NaN.
void round_to_int8(const float* src, const Tensor& dst);
/// src is in int8.
void widen_int8(const Tensor& src, float* dst);

/// Whether a kAdd operand may stand in the result's memory: both have one type.
bool adds_in_place(const OpRequest& request);

/// Floats where source 0, the kAdd operand or the result is in int8. The layer writes over the operand, if there is
/// one.
class Int8Edges {
 public:
  Int8Edges() = default;
  /// Books what lies in between in front of whatever `forward` is used for afterwards.
  Int8Edges(const OpRequest& request, Scratch& forward);
  /// What the layer in between sees: the same as the request's where these are floats.
  const TensorDesc& src() const { return src_.desc; }
  const TensorDesc& dst() const { return dst_.desc; }

  /// Calls body(src, dst) with floats.
  template <class Body>
  void run(const Context& c, Body&& body) const {
    const void* const src = widens_src_ ? c.memory[src_.memory] : c.src[0].data;
    void* const dst = rounds_dst_ ? c.memory[dst_.memory] : c.dst.data;
    if (widens_src_) widen_int8(c.src[0], reinterpret_cast<float*>(c.memory[src_.memory]));
    if (copies_addend_) copy_addend(c, static_cast<float*>(dst));
    body(src, dst);
    if (rounds_dst_) round_to_int8(static_cast<const float*>(dst), c.dst);
  }

 private:
  void copy_addend(const Context& c, float* to) const;

  BookedTensor src_, dst_;
  bool widens_src_ = false, rounds_dst_ = false, copies_addend_ = false;
};

}  // namespace sluice
