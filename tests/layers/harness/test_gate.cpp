#include "tests/layers/harness/test_gate.hpp"

#include "core/base/bfloat16.hpp"
#include "core/graph/network.hpp"

namespace sluice {
namespace {

float get(const Tensor& tensor, std::int64_t at) {
  return tensor.desc.type == DataType::kBF16 ? widen(tensor.as<const BFloat16>()[at]) : tensor.as<const float>()[at];
}

void put(const Tensor& tensor, std::int64_t at, float value) {
  if (tensor.desc.type == DataType::kBF16) {
    narrow(value, tensor.as<BFloat16>()[at]);
  } else {
    tensor.as<float>()[at] = value;
  }
}

/// Calls body(place in memory, channel) for every element.
template <class Body>
void for_each_element(const TensorDesc& desc, Body body) {
  const Shape& s = desc.shape;
  for (std::int64_t n = 0; n < s[kN]; ++n)
    for (std::int64_t c = 0; c < s[kC]; ++c)
      for (std::int64_t h = 0; h < s[kH]; ++h)
        for (std::int64_t w = 0; w < s[kW]; ++w) body(desc.offset(n, c, h, w), c);
}

class TestGateOp : public Op {
 public:
  void forward(const Context& c) override {
    for_each_element(c.src[0].desc, [&](std::int64_t at, std::int64_t channel) {
      const float x = get(c.src[0], at);
      const bool open = x > c.param[0][channel];
      c.counts[0] += open ? 1 : 0;
      ++c.counts[1];
      put(c.dst, at, open ? x : 0.0F);
    });
  }

  void backward(const Context& c) override {
    if (c.diff_src[0].data == nullptr) return;
    for_each_element(c.src[0].desc, [&](std::int64_t at, std::int64_t channel) {
      put(c.diff_src[0], at, get(c.src[0], at) > c.param[0][channel] ? get(c.diff_dst[0], at) : 0.0F);
    });
  }
};

class TestGate : public Layer {
 public:
  explicit TestGate(Keys& keys) {
    keys.optional("macs", macs_, at_least(0), "multiply-adds for one image that are always done");
    keys.optional("conditional_macs", conditional_macs_, at_least(0), "multiply-adds of the open share");
    keys.optional("weight_bits", weight_bits_, between(1, 32), "bits of a weight");
    keys.optional("activation_bits", activation_bits_, between(1, 32), "bits of an activation");
    keys.optional("first_bits", first_bits_, between(0, 31), "bits that are always multiplied; 0: all");
    keys.optional("threshold", threshold_, any_number(), "initial value of the thresholds");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    declare.dst = src.at(0);
    declare.like_src = true;
    declare.parameter("threshold", {src[0][kC]}, "threshold", Init::constant(threshold_));
    const int open = declare.count("passed"), total = declare.count("seen");
    const int weight_bits = static_cast<int>(weight_bits_), bits = static_cast<int>(activation_bits_),
              first = static_cast<int>(first_bits_);
    declare.costs.push_back({macs_, weight_bits, first > 0 ? first : bits});
    if (first > 0) declare.costs.push_back({macs_, weight_bits, bits - first, open, total, true});
    if (conditional_macs_ > 0) declare.costs.push_back({conditional_macs_, weight_bits, bits, open, total});
  }

  std::unique_ptr<Op> make_op(const OpRequest&, OpNeeds& needs) const override {
    needs.backward_uses_src = true;
    return std::make_unique<TestGateOp>();
  }

 private:
  std::int64_t macs_ = 0, conditional_macs_ = 0, weight_bits_ = 32, activation_bits_ = 32, first_bits_ = 0;
  double threshold_ = 0;
};

std::optional<Ratio> open_share(const Node& node, const std::int64_t* counts) {
  if (node.type != "test_gate") return std::nullopt;
  return Ratio{counts[0], counts[1]};
}

}  // namespace

void register_test_gate(Registry& registry) {
  registry.add_layer("test_gate", "lets through what is above a threshold",
                     [](Keys& keys) { return std::make_unique<TestGate>(keys); });
  registry.add_metric("open_share", "share of elements that were let through", "", open_share);
  registry.add_complement("closed_share", "1 - open_share", "open_share");
}

}  // namespace sluice
