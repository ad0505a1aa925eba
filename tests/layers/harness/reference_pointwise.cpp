// References that work element by element.
#include <algorithm>
#include <cmath>

#include "tests/layers/harness/reference_ops.hpp"

namespace sluice {
namespace {

/// y = max(x, 0); the gradient passes where x > 0.
class ReluReference : public ReferenceOp {
 public:
  explicit ReluReference(const ReferenceKeys&) {}
  void forward(ReferenceCall& call) override {
    call.dst = *call.src[0];
    for (double& value : call.dst.values) value = value > 0 ? value : 0;
  }
  void backward(ReferenceCall& call) override {
    for (std::int64_t i = 0; i < call.dst.count(); ++i)
      call.diff_src[0][i] = (*call.src[0])[i] > 0 ? call.diff_dst[i] : 0;
  }
};

/// y = min(max(x, low), high); the gradient passes where low < x < high.
class ClipReference : public ReferenceOp {
 public:
  explicit ClipReference(const ReferenceKeys& keys)
      : low_(static_cast<double>(static_cast<float>(keys.number("low", 0)))),
        high_(static_cast<double>(static_cast<float>(keys.number("high", 6)))) {}
  void forward(ReferenceCall& call) override {
    call.dst = *call.src[0];
    for (double& value : call.dst.values) value = std::min(std::max(value, low_), high_);
  }
  void backward(ReferenceCall& call) override {
    for (std::int64_t i = 0; i < call.dst.count(); ++i) {
      const double x = (*call.src[0])[i];
      call.diff_src[0][i] = x > low_ && x < high_ ? call.diff_dst[i] : 0;
    }
  }

 private:
  double low_, high_;
};

class AddReference : public ReferenceOp {
 public:
  explicit AddReference(const ReferenceKeys&) {}
  void forward(ReferenceCall& call) override {
    call.dst = *call.src[0];
    for (std::int64_t i = 0; i < call.dst.count(); ++i) call.dst[i] += (*call.src[1])[i];
  }
  void backward(ReferenceCall& call) override {
    call.diff_src[0] = call.diff_dst;
    call.diff_src[1] = call.diff_dst;
  }
};

}  // namespace

void add_pointwise_references(ReferenceTable& table) {
  table["relu"] = reference<ReluReference>();
  table["clip"] = reference<ClipReference>();
  table["add"] = reference<AddReference>();
}

ReferenceTable standard_references() {
  ReferenceTable table;
  add_pointwise_references(table);
  add_norm_references(table);
  add_linear_references(table);
  add_loss_references(table);
  add_pooling_references(table);
  add_channel_references(table);
  add_quantized_references(table);
  return table;
}

}  // namespace sluice
