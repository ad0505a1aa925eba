// Activations beside relu and clip, each by its two formulas.
#include <algorithm>
#include <cmath>

#include "layers/elementwise.hpp"

namespace sluice {
namespace {

float logistic(float x) {
  return 1 / (1 + std::exp(-x));
}

/// relu6(x + 3) / 6
float hard_logistic(float x) {
  return std::min(std::max(x + 3, 0.0F), 6.0F) / 6;
}

/// Where hard_logistic is not constant.
bool is_sloped(float x) {
  return x > -3 && x < 3;
}

/// x where x > 0, else slope x (Maas et al. 2013); at 0 the gradient is that of the left side.
struct LeakyRelu {
  static constexpr bool kNonnegative = false;
  explicit LeakyRelu(Keys& keys) {
    double wanted = 0.01;
    keys.optional("slope", wanted, any_number(), "factor of what is below 0");
    below = static_cast<float>(wanted);
  }
  float value(float x) const { return x > 0 ? x : below * x; }
  float slope(float x) const { return x > 0 ? 1 : below; }
  Attributes attributes() const {
    Attributes attributes("leaky_relu");
    attributes.set("slope", static_cast<double>(below));
    return attributes;
  }
  float below = 0;
};

/// 1 / (1 + exp(-x)); its derivative is s (1 - s).
struct Sigmoid {
  static constexpr bool kNonnegative = true;
  explicit Sigmoid(Keys&) {}
  float value(float x) const { return logistic(x); }
  float slope(float x) const { return logistic(x) * logistic(-x); }
  Attributes attributes() const { return Attributes("sigmoid"); }
};

/// relu6(x + 3) / 6 (Howard et al. 2019); at both ends of the slope the gradient is 0.
struct HardSigmoid {
  static constexpr bool kNonnegative = true;
  explicit HardSigmoid(Keys&) {}
  float value(float x) const { return hard_logistic(x); }
  float slope(float x) const { return is_sloped(x) ? 1.0F / 6 : 0; }
  Attributes attributes() const { return Attributes("hard_sigmoid"); }
};

/// x hard_sigmoid(x) (Howard et al. 2019).
struct HardSwish {
  static constexpr bool kNonnegative = false;
  explicit HardSwish(Keys&) {}
  float value(float x) const { return x * hard_logistic(x); }
  float slope(float x) const { return hard_logistic(x) + (is_sloped(x) ? x / 6 : 0); }
  Attributes attributes() const { return Attributes("hard_swish"); }
};

/// x sigmoid(x) (Elfwing et al. 2017, arXiv 1702.03118).
struct Silu {
  static constexpr bool kNonnegative = false;
  explicit Silu(Keys&) {}
  float value(float x) const { return x * logistic(x); }
  float slope(float x) const { return logistic(x) * (1 + x * logistic(-x)); }
  Attributes attributes() const { return Attributes("silu"); }
};

}  // namespace

std::unique_ptr<Layer> make_leaky_relu(Keys& keys) {
  return std::make_unique<ElementwiseLayer<LeakyRelu>>(keys);
}

std::unique_ptr<Layer> make_sigmoid(Keys& keys) {
  return std::make_unique<ElementwiseLayer<Sigmoid>>(keys);
}

std::unique_ptr<Layer> make_hard_sigmoid(Keys& keys) {
  return std::make_unique<ElementwiseLayer<HardSigmoid>>(keys);
}

std::unique_ptr<Layer> make_hard_swish(Keys& keys) {
  return std::make_unique<ElementwiseLayer<HardSwish>>(keys);
}

std::unique_ptr<Layer> make_silu(Keys& keys) {
  return std::make_unique<ElementwiseLayer<Silu>>(keys);
}

}  // namespace sluice
