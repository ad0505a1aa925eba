// A layer made of two formulas, as docs/adding-a-layer.md shows it.
#include "layers/elementwise.hpp"

#include <cmath>

#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

/// x / (1 + |x|)
struct Softsign {
  static constexpr bool kNonnegative = false;
  explicit Softsign(Keys&) {}
  float value(float x) const { return x / (1 + std::abs(x)); }
  float slope(float x) const { return 1 / ((1 + std::abs(x)) * (1 + std::abs(x))); }
  Attributes attributes() const { return Attributes("softsign"); }
};

void register_softsign(Registry& registry) {
  register_layers(registry);
  registry.add_layer("softsign", "x / (1 + |x|)",
                     [](Keys& keys) { return std::make_unique<ElementwiseLayer<Softsign>>(keys); });
}

class SoftsignReference : public ReferenceOp {
 public:
  void forward(ReferenceCall& call) override {
    call.dst = *call.src[0];
    for (double& x : call.dst.values) x /= 1 + std::abs(x);
  }
  void backward(ReferenceCall& call) override {
    for (std::int64_t i = 0; i < call.dst.count(); ++i)
      call.diff_src[0][i] = call.diff_dst[i] / std::pow(1 + std::abs((*call.src[0])[i]), 2);
  }
};

std::vector<LayerCase> softsign_cases() {
  std::vector<LayerCase> cases;
  for (const Shape& shape : {Shape{2, 3, 5, 7}, Shape{3, 32, 3, 5}}) {
    LayerCase c{"softsign", shape[kC] == 32 ? "blocks" : "odd", {{"x", shape}}, "[layer.act]\ntype = softsign\n"};
    c.references["softsign"] = [](const ReferenceKeys&) { return std::make_unique<SoftsignReference>(); };
    c.types = register_softsign;
    cases.push_back(c);
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Elementwise, LayerCases, ::testing::ValuesIn(softsign_cases()), case_name);

}  // namespace
}  // namespace sluice
