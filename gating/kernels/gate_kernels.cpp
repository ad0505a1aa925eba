// The element-wise work of gated layers, for one instruction set.
#include "gating/kernels/tables.hpp"
#include "layers/kernels/partial.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

// Rows summed in fp32 before the sum goes on in double.
constexpr std::int64_t kChunk = 256;

SLUICE_INLINE F32 divide(F32 a, F32 b) {
  for (int k = 0; k < kParts; ++k) a.part[k] = a.part[k] / b.part[k];
  return a;
}

SLUICE_INLINE float sum_of(F32 x) {
  float total = 0;
  for (int k = 1; k < kParts; ++k) x.part[0] += x.part[k];
  for (int lane = 0; lane < kNativeLanes; ++lane) total += x.part[0][lane];
  return total;
}

/// exp(x) for x <= 0 (below -87: about 1e-38), to about 2 units in the last place: 2^n times a polynomial on [-ln 2 /
/// 2, ln 2 / 2].
SLUICE_INLINE F32 exp_of_negative(F32 x) {
  x = simd::max(x, set(-87.0F));
  const F32 shifter = set(12582912.0F);  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  const F32 shifted = x * set(1.44269504F) + shifter;
  const F32 n = shifted - shifter;
  const F32 r = x - n * set(0.693359375F) + n * set(2.12194440e-4F);
  F32 p = set(1.9875691e-4F);
  p = p * r + set(1.3981999e-3F);
  p = p * r + set(8.3334519e-3F);
  p = p * r + set(4.1665796e-2F);
  p = p * r + set(1.6666665e-1F);
  p = p * r + set(0.5F);
  p = p * r * r + r + set(1.0F);
  return bits_as<F32>(bits_as<I32>(p) + ((bits_as<I32>(shifted) - bits_as<I32>(shifter)) << 23));
}

/// alpha s (1 - s) with s = sigmoid(alpha q); 0 where q < 0 if sparse.
SLUICE_INLINE F32 surrogate_slope(F32 q, Surrogate surrogate) {
  const F32 z = q * set(surrogate.alpha);
  const F32 e = exp_of_negative(F32{} - simd::max(z, F32{} - z));  // s (1 - s) is even in z
  const F32 one = set(1.0F), denominator = (one + e) * (one + e);
  const F32 slope = divide(set(surrogate.alpha) * e, denominator);
  return surrogate.sparse ? if_greater(F32{}, q, F32{}, slope) : slope;
}

template <class Body>
SLUICE_INLINE void by_width(int lanes, Body&& body) {
  if (lanes == kLanes) {
    body(std::integral_constant<bool, true>{});
  } else {
    body(std::integral_constant<bool, false>{});
  }
}

SLUICE_INLINE void widen_add(double* sum, F32 x, int lanes) {
  for (int i = 0; i < lanes; ++i) sum[i] += static_cast<double>(x[i]);
}

/// dst = P + R where a > b, else P; adds the open ones to `open`.
template <bool kWhole, class T>
SLUICE_INLINE void decide(F32 a, F32 b, F32 p, const T* conditional, T* dst, int lanes, I32& open) {
  const F32 r = get<kWhole>(conditional, lanes);
  put<kWhole>(dst, if_greater(a, b, p + r, p), lanes);
  open += if_greater(a, b, set(1), I32{});
}

std::int64_t total_of(I32 open, int lanes) {
  std::int64_t total = 0;
  for (int i = 0; i < lanes; ++i) total += open[i];
  return total;
}

template <class T>
std::int64_t forward(ChannelGroup g, const GateConstants& gate, const GateForward<T>& f) {
  I32 open{};
  by_width(
      g.lanes, [&](auto whole) __attribute__((always_inline)) {
        const F32 limit = get<whole.value>(gate.limit, g.lanes);
        for (std::int64_t r = 0; r < g.rows; ++r) {
          const F32 p = get<whole.value>(f.base + r * g.stride, g.lanes);
          decide<whole.value>(p, limit, p, f.conditional + r * g.stride, f.dst + r * f.dst_stride, g.lanes, open);
        }
      });
  return total_of(open, g.lanes);
}

template <class T>
void score(ChannelGroup g, const GateConstants& gate, const T* base, float* score, bool add) {
  by_width(
      g.lanes, [&](auto whole) __attribute__((always_inline)) {
        const F32 limit = get<whole.value>(gate.limit, g.lanes), slope = get<whole.value>(gate.slope, g.lanes);
        for (std::int64_t r = 0; r < g.rows; ++r) {
          const float sum = sum_of((get<whole.value>(base + r * g.stride, g.lanes) - limit) * slope);
          score[r] = add ? score[r] + sum : sum;
        }
      });
}

template <class T>
std::int64_t forward_scored(ChannelGroup g, const float* score, const GateForward<T>& f) {
  std::int64_t open = 0;
  by_width(
      g.lanes, [&](auto whole) __attribute__((always_inline)) {
        for (std::int64_t r = 0; r < g.rows; ++r) {
          F32 v = get<whole.value>(f.base + r * g.stride, g.lanes);
          if (score[r] > 0) {
            v += get<whole.value>(f.conditional + r * g.stride, g.lanes);
            open += g.lanes;
          }
          put<whole.value>(f.dst + r * f.dst_stride, v, g.lanes);
        }
      });
  return open;
}

/// The two sums by channel, for runs of rows in fp32.
struct Sums {
  F32 u{}, dot{};
};

/// Writes the gradients of one pixel of a group, whose surrogate gradient is u.
template <bool kWhole, class T>
SLUICE_INLINE void put_gradients(const GateBackward<T>& b, std::int64_t at, F32 diff, F32 kept, F32 u, F32 slope,
                                 int lanes) {
  put<kWhole>(b.diff_conditional + at, kept, lanes);
  put<kWhole>(b.diff_base + at, diff + slope * u, lanes);
}

template <bool kWhole, class T>
SLUICE_INLINE void backward_of(ChannelGroup g, const GateConstants& gate, Surrogate surrogate, const GateBackward<T>& b,
                               double* sum, double* dot) {
  const F32 limit = get<kWhole>(gate.limit, g.lanes), slope = get<kWhole>(gate.slope, g.lanes);
  const F32 mean = b.mean == nullptr ? F32{} : get<kWhole>(b.mean, g.lanes);
  for (std::int64_t begin = 0; begin < g.rows; begin += kChunk) {
    const std::int64_t end = begin + kChunk < g.rows ? begin + kChunk : g.rows;
    Sums sums;
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t at = r * g.stride;
      const F32 p = get<kWhole>(b.base + at, g.lanes), diff = get<kWhole>(b.diff_dst + r * b.dst_stride, g.lanes);
      const F32 q = (p - limit) * slope;
      const F32 u = diff * get<kWhole>(b.conditional + at, g.lanes) * surrogate_slope(q, surrogate);
      put_gradients<kWhole>(b, at, diff, if_greater(p, limit, diff, F32{}), u, slope, g.lanes);
      sums.u += u;
      sums.dot += u * (p - mean);
    }
    widen_add(sum, sums.u, g.lanes);
    if (b.mean != nullptr) widen_add(dot, sums.dot, g.lanes);
  }
}

template <class T>
void backward(ChannelGroup g, const GateConstants& gate, Surrogate surrogate, const GateBackward<T>& b, double* sum,
              double* dot) {
  by_width(
      g.lanes, [&](auto whole)
                   __attribute__((always_inline)) { backward_of<whole.value>(g, gate, surrogate, b, sum, dot); });
}

template <class T>
void gradient(ChannelGroup g, const GateBackward<T>& b, float* gradient, bool add) {
  by_width(
      g.lanes, [&](auto whole) __attribute__((always_inline)) {
        for (std::int64_t r = 0; r < g.rows; ++r) {
          const F32 diff = get<whole.value>(b.diff_dst + r * b.dst_stride, g.lanes);
          const float sum = sum_of(diff * get<whole.value>(b.conditional + r * g.stride, g.lanes));
          gradient[r] = add ? gradient[r] + sum : sum;
        }
      });
}

template <bool kWhole, class T>
SLUICE_INLINE void backward_scored_of(ChannelGroup g, const GateConstants& gate, Surrogate surrogate,
                                      std::int64_t width, const float* score, const float* gradient,
                                      const GateBackward<T>& b, double* sum, double* dot) {
  const F32 slope = get<kWhole>(gate.slope, g.lanes), share = set(1.0F / static_cast<float>(width));
  const F32 mean = b.mean == nullptr ? F32{} : get<kWhole>(b.mean, g.lanes);
  for (std::int64_t begin = 0; begin < g.rows; begin += kChunk) {
    const std::int64_t end = begin + kChunk < g.rows ? begin + kChunk : g.rows;
    Sums sums;
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t at = r * g.stride;
      const F32 diff = get<kWhole>(b.diff_dst + r * b.dst_stride, g.lanes), s = set(score[r]);
      const F32 u = set(gradient[r]) * surrogate_slope(s * share, surrogate) * share;
      put_gradients<kWhole>(b, at, diff, if_greater(s, F32{}, diff, F32{}), u, slope, g.lanes);
      sums.u += u;
      sums.dot += u * (get<kWhole>(b.base + at, g.lanes) - mean);
    }
    widen_add(sum, sums.u, g.lanes);
    if (b.mean != nullptr) widen_add(dot, sums.dot, g.lanes);
  }
}

template <class T>
void backward_scored(ChannelGroup g, const GateConstants& gate, Surrogate surrogate, std::int64_t width,
                     const float* score, const float* gradient, const GateBackward<T>& b, double* sum, double* dot) {
  by_width(
      g.lanes, [&](auto whole) __attribute__((always_inline)) {
        backward_scored_of<whole.value>(g, gate, surrogate, width, score, gradient, b, sum, dot);
      });
}

template <class T>
void subtract(ChannelGroup g, const T* base, const float* mean, const float* b, const float* c, T* diff_base) {
  by_width(
      g.lanes, [&](auto whole) __attribute__((always_inline)) {
        const F32 m = get<whole.value>(mean, g.lanes), vb = get<whole.value>(b, g.lanes),
                  vc = get<whole.value>(c, g.lanes);
        for (std::int64_t r = 0; r < g.rows; ++r) {
          const std::int64_t at = r * g.stride;
          const F32 p = get<whole.value>(base + at, g.lanes);
          put<whole.value>(diff_base + at, get<whole.value>(diff_base + at, g.lanes) - vb - vc * (p - m), g.lanes);
        }
      });
}

template <class T>
constexpr GateKernels<T> table() {
  return {forward<T>, backward<T>, score<T>, forward_scored<T>, gradient<T>, backward_scored<T>, subtract<T>};
}

}  // namespace

extern const GateKernels<float> gate_f32 = table<float>();
extern const GateKernels<BFloat16> gate_bf16 = table<BFloat16>();

}  // namespace sluice::SLUICE_ISA
