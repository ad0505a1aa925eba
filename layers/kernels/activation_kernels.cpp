// Activations by their two formulas, for one instruction set.
#include "layers/kernels/partial.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

/// exp(x) for x <= 0, within two units of the last place; what is below 1.2e-38 stays there.
/// x = n ln 2 + r with whole n and |r| <= ln 2 / 2; exp(x) = 2^n exp(r), and exp(r) by its series.
SLUICE_INLINE F32 exp_of_negative(F32 x) {
  constexpr float kLeast = -87.3F, kInverseLn2 = 1.44269504F, kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
  constexpr float kWhole = 12582912;  // 1.5 * 2^23: a float near it has no fraction
  const F32 at = if_greater(set(kLeast), x, set(kLeast), x);
  const F32 shifted = at * set(kInverseLn2) + set(kWhole);
  const F32 n = shifted - set(kWhole);
  const F32 r = at - n * set(kLn2High) - n * set(kLn2Low);
  F32 sum = set(1.0F / 5040);
  for (const float term : {1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F, 1.0F}) sum = sum * r + set(term);
  const U32 exponent = bits_as<U32>(shifted) - bits_as<U32>(set(kWhole)) + set(127U);
  return sum * bits_as<F32>(exponent << 23);
}

struct Logistic {
  explicit SLUICE_INLINE Logistic(F32 x) {
    const F32 one = set(1.0F), e = exp_of_negative(min(x, F32{} - x)), whole = one + e;
    of_x = divide(if_greater(x, F32{}, one, e), whole);
    of_minus_x = divide(if_greater(x, F32{}, e, one), whole);
  }
  F32 of_x, of_minus_x;
};

SLUICE_INLINE F32 hard_logistic(F32 x) {
  return clip(x + set(3.0F), F32{}, set(6.0F)) * set(1.0F / 6);
}

/// y where hard_logistic is not constant, else 0.
SLUICE_INLINE F32 where_sloped(F32 x, F32 y) {
  return keep_between(y, x, set(-3.0F), set(3.0F));
}

struct LeakyRelu {
  F32 below;
  SLUICE_INLINE F32 value(F32 x) const { return if_greater(x, F32{}, x, below * x); }
  SLUICE_INLINE F32 slope(F32 x) const { return if_greater(x, F32{}, set(1.0F), below); }
};

struct Sigmoid {
  SLUICE_INLINE F32 value(F32 x) const { return Logistic(x).of_x; }
  SLUICE_INLINE F32 slope(F32 x) const {
    const Logistic s(x);
    return s.of_x * s.of_minus_x;
  }
};

struct HardSigmoid {
  SLUICE_INLINE F32 value(F32 x) const { return hard_logistic(x); }
  SLUICE_INLINE F32 slope(F32 x) const { return where_sloped(x, set(1.0F / 6)); }
};

struct HardSwish {
  SLUICE_INLINE F32 value(F32 x) const { return x * hard_logistic(x); }
  SLUICE_INLINE F32 slope(F32 x) const { return hard_logistic(x) + where_sloped(x, x * set(1.0F / 6)); }
};

struct Silu {
  SLUICE_INLINE F32 value(F32 x) const { return x * Logistic(x).of_x; }
  SLUICE_INLINE F32 slope(F32 x) const {
    const Logistic s(x);
    return s.of_x * (set(1.0F) + x * s.of_minus_x);
  }
};

template <class Body>
SLUICE_INLINE void with_formulas(Activation activation, Body&& body) {
  switch (activation.function) {
    case Activation::Function::kLeakyRelu:
      return body(LeakyRelu{set(activation.slope)});
    case Activation::Function::kSigmoid:
      return body(Sigmoid());
    case Activation::Function::kHardSigmoid:
      return body(HardSigmoid());
    case Activation::Function::kHardSwish:
      return body(HardSwish());
    case Activation::Function::kSilu:
      return body(Silu());
  }
}

template <class T>
void forward(Activation activation, std::int64_t n, const T* src, T* dst) {
  with_formulas(
      activation, [=](auto f) __attribute__((always_inline)) {
        for_vectors(
            n, [=](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
              put<whole.value>(dst + i, f.value(get<whole.value>(src + i, lanes)), lanes);
            });
      });
}

template <class T>
void backward(Activation activation, std::int64_t n, const T* src, const T* diff_dst, T* diff_src) {
  with_formulas(
      activation, [=](auto f) __attribute__((always_inline)) {
        for_vectors(
            n, [=](std::int64_t i, auto whole, int lanes) __attribute__((always_inline)) {
              const F32 slope = f.slope(get<whole.value>(src + i, lanes));
              put<whole.value>(diff_src + i, get<whole.value>(diff_dst + i, lanes) * slope, lanes);
            });
      });
}

}  // namespace

extern const ActivationKernels<float> activation_f32 = {forward<float>, backward<float>};
extern const ActivationKernels<BFloat16> activation_bf16 = {forward<BFloat16>, backward<BFloat16>};

}  // namespace sluice::SLUICE_ISA
