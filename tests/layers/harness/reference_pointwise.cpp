// References that work element by element.
#include <algorithm>
#include <cmath>
#include <functional>

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

/// y = f(x), with f's derivative.
class FunctionReference : public ReferenceOp {
 public:
  using Function = std::function<double(double)>;
  FunctionReference(Function value, Function slope) : value_(std::move(value)), slope_(std::move(slope)) {}
  void forward(ReferenceCall& call) override {
    call.dst = *call.src[0];
    for (double& value : call.dst.values) value = value_(value);
  }
  void backward(ReferenceCall& call) override {
    for (std::int64_t i = 0; i < call.dst.count(); ++i)
      call.diff_src[0][i] = call.diff_dst[i] * slope_((*call.src[0])[i]);
  }

 private:
  Function value_, slope_;
};

/// For tables.
ReferenceFactory function(FunctionReference::Function value, FunctionReference::Function slope) {
  return [value, slope](const ReferenceKeys&) { return std::make_unique<FunctionReference>(value, slope); };
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

double hard_sigmoid(double x) {
  return std::clamp((x + 3) / 6, 0.0, 1.0);
}

double hard_slope(double x) {
  return std::abs(x) < 3 ? 1.0 / 6 : 0;
}

/// y = x where x > 0, else slope x.
ReferenceFactory leaky_relu() {
  return [](const ReferenceKeys& keys) {
    const auto slope = static_cast<double>(static_cast<float>(keys.number("slope", 0.01)));
    return std::make_unique<FunctionReference>([=](double x) { return x > 0 ? x : slope * x; },
                                               [=](double x) { return x > 0 ? 1 : slope; });
  };
}

/// y = a b, where b may be N x C for a of N x C x H x W.
class MultiplyReference : public ReferenceOp {
 public:
  explicit MultiplyReference(const ReferenceKeys&) {}
  void forward(ReferenceCall& call) override {
    call.dst = *call.src[0];
    for (std::int64_t i = 0; i < call.dst.count(); ++i) call.dst[i] *= (*call.src[1])[factor(call, i)];
  }
  void backward(ReferenceCall& call) override {
    for (double& value : call.diff_src[1].values) value = 0;
    for (std::int64_t i = 0; i < call.dst.count(); ++i) {
      call.diff_src[0][i] = call.diff_dst[i] * (*call.src[1])[factor(call, i)];
      call.diff_src[1][factor(call, i)] += call.diff_dst[i] * (*call.src[0])[i];
    }
  }

 private:
  static std::int64_t factor(const ReferenceCall& call, std::int64_t i) {
    return i / (call.src[0]->count() / call.src[1]->count());
  }
};

}  // namespace

void add_pointwise_references(ReferenceTable& table) {
  table["relu"] = reference<ReluReference>();
  table["clip"] = reference<ClipReference>();
  table["add"] = reference<AddReference>();
  table["multiply"] = reference<MultiplyReference>();
  table["leaky_relu"] = leaky_relu();
  table["sigmoid"] = function(sigmoid, [](double x) { return sigmoid(x) * (1 - sigmoid(x)); });
  table["hard_sigmoid"] = function(hard_sigmoid, hard_slope);
  table["hard_swish"] = function([](double x) { return x * hard_sigmoid(x); },
                                 [](double x) { return hard_sigmoid(x) + x * hard_slope(x); });
  table["silu"] = function([](double x) { return x * sigmoid(x); },
                           [](double x) { return sigmoid(x) * (1 + x * (1 - sigmoid(x))); });
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
