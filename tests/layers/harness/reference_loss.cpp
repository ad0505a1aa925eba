// References of losses, and of the harness's own layers.
#include <cmath>

#include "tests/layers/harness/reference_ops.hpp"

namespace sluice {
namespace {

/// -1/N sum over n and k of t log softmax(x), t = (1 - s) onehot + s / K.
class SoftmaxCrossEntropyReference : public ReferenceOp {
 public:
  explicit SoftmaxCrossEntropyReference(const ReferenceKeys& keys) : smoothing_(keys.number("label_smoothing", 0)) {}

  void forward(ReferenceCall& call) override {
    call.dst = Array(Shape{1});
    for_each(call, [&](std::int64_t, double probability, double target) {
      call.dst[0] -= target * std::log(probability) / static_cast<double>(call.src[0]->shape[0]);
    });
  }
  void backward(ReferenceCall& call) override {
    for_each(call, [&](std::int64_t i, double probability, double target) {
      call.diff_src[0][i] = call.diff_dst[0] * (probability - target) / static_cast<double>(call.src[0]->shape[0]);
    });
  }

 private:
  template <class Body>
  void for_each(const ReferenceCall& call, Body&& body) const {
    const Array& x = *call.src[0];
    const std::int64_t classes = x.shape[1];
    for (std::int64_t n = 0; n < x.shape[0]; ++n) {
      double sum = 0;
      for (std::int64_t k = 0; k < classes; ++k) sum += std::exp(x[n * classes + k]);
      for (std::int64_t k = 0; k < classes; ++k) {
        const double own = static_cast<double>(k) == (*call.src[1])[n] ? 1 : 0;
        const double target = (1 - smoothing_) * own + smoothing_ / static_cast<double>(classes);
        body(n * classes + k, std::exp(x[n * classes + k]) / sum, target);
      }
    }
  }

  double smoothing_;
};

class TestSourceReference : public ReferenceOp {
 public:
  explicit TestSourceReference(const ReferenceKeys&) {}
  void forward(ReferenceCall& call) override { call.dst = *call.param.at("value"); }
  void backward(ReferenceCall& call) override {
    for (std::int64_t i = 0; i < call.dst.count(); ++i) (*call.diff_param.at("value"))[i] += call.diff_dst[i];
  }
};

class TestLossReference : public ReferenceOp {
 public:
  explicit TestLossReference(const ReferenceKeys&) {}
  void forward(ReferenceCall& call) override {
    call.dst = Array(Shape{1});
    for (std::int64_t i = 0; i < call.src[0]->count(); ++i)
      call.dst[0] += (*call.src[0])[i] * (*call.buffer.at("weights"))[i];
  }
  void backward(ReferenceCall& call) override {
    for (std::int64_t i = 0; i < call.src[0]->count(); ++i)
      call.diff_src[0][i] = call.diff_dst[0] * (*call.buffer.at("weights"))[i];
  }
};

}  // namespace

void add_loss_references(ReferenceTable& table) {
  table["softmax_cross_entropy"] = reference<SoftmaxCrossEntropyReference>();
  table["test_source"] = reference<TestSourceReference>();
  table["test_loss"] = reference<TestLossReference>();
}

}  // namespace sluice
