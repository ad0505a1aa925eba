// Inference of layers that change images in training alone.
#pragma once

#include "core/graph/layer.hpp"

namespace sluice {

/// dst = src, in place where the executor allows it (OpNeeds::dst_may_overwrite_src).
class IdentityOp : public Op {
 public:
  void forward(const Context& c) override {
    if (c.dst.data != c.src[0].data) copy_memory(c.src[0], c.dst);
  }
};

}  // namespace sluice
