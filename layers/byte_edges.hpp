// Images in bytes (kU8, whole numbers of TensorDesc::step) to and from floats, and how a layer that computes in floats
// stands between them.
#pragma once

#include "core/base/buffer.hpp"
#include "core/graph/layer.hpp"

namespace sluice {

/// dst is in bytes: 0 to kMostByteLevel, ties to even, 0 for a NaN.
void round_to_bytes(const float* src, const Tensor& dst);
/// src is in bytes.
void widen_bytes(const Tensor& src, float* dst);

/// Floats where source 0, the kAdd operand or the result is in bytes. The layer writes over the operand
/// (Setup::dst_starts_as_addend), if there is one.
class ByteEdges {
 public:
  ByteEdges() = default;
  /// Decides Setup::dst_starts_as_addend.
  explicit ByteEdges(Setup& setup);
  /// What the layer in between sees: the same as the setup's where these are floats.
  const TensorDesc& src() const { return src_; }
  const TensorDesc& dst() const { return dst_; }
  std::int64_t scratch_bytes() const { return src_bytes_ + dst_bytes_; }

  /// Calls body(src, dst, scratch) with floats.
  template <class Body>
  void run(const Context& c, Body&& body) const {
    char* const src_copy = static_cast<char*>(c.scratch);
    char* const dst_copy = src_copy + src_bytes_;
    const void* const src = src_bytes_ > 0 ? src_copy : c.src[0].data;
    void* const dst = dst_bytes_ > 0 ? dst_copy : c.dst.data;
    if (src_bytes_ > 0) widen_bytes(c.src[0], reinterpret_cast<float*>(src_copy));
    if (copies_addend_) copy_addend(c, static_cast<float*>(dst));
    body(src, dst, dst_copy + dst_bytes_);
    if (dst_bytes_ > 0) round_to_bytes(reinterpret_cast<const float*>(dst_copy), c.dst);
  }

 private:
  void copy_addend(const Context& c, float* to) const;

  TensorDesc src_, dst_;
  std::int64_t src_bytes_ = 0, dst_bytes_ = 0;
  bool copies_addend_ = false;
};

}  // namespace sluice
