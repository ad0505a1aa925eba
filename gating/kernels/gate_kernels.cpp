// The element-wise work of gated layers, for one instruction set.
#include "gating/kernels/tables.hpp"
#include "layers/kernels/partial.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

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

std::int64_t total_of(I32 open, int lanes) {
  std::int64_t total = 0;
  for (int i = 0; i < lanes; ++i) total += open[i];
  return total;
}

/// Calls body(whole, with_norms) with constants for whether the group has 16 channels and two normalisations.
template <class Body>
SLUICE_INLINE void dispatch(int lanes, bool norms, Body&& body) {
  by_width(
      lanes, [&](auto whole) __attribute__((always_inline)) {
        if (norms) {
          body(whole, std::integral_constant<bool, true>{});
        } else {
          body(whole, std::integral_constant<bool, false>{});
        }
      });
}

/// What an open gate gives, and a closed one.
template <bool kWhole, bool kNorms>
struct Values {
  F32 full_scale, full_shift, base_scale, base_shift;

  SLUICE_INLINE Values(const NormPair* norms, int lanes) {
    if (!kNorms) return;
    full_scale = get<kWhole>(norms->full_scale, lanes);
    full_shift = get<kWhole>(norms->full_shift, lanes);
    base_scale = get<kWhole>(norms->base_scale, lanes);
    base_shift = get<kWhole>(norms->base_shift, lanes);
  }
  SLUICE_INLINE F32 full(F32 p, F32 r) const { return kNorms ? (p + r) * full_scale + full_shift : p + r; }
  SLUICE_INLINE F32 base(F32 p) const { return kNorms ? p * base_scale + base_shift : p; }
  /// What opening a gate adds.
  SLUICE_INLINE F32 difference(F32 p, F32 r) const { return kNorms ? full(p, r) - base(p) : r; }
};

template <class T>
std::int64_t forward(ChannelGroup g, const GateConstants& gate, const GateForward<T>& f) {
  I32 open{};
  dispatch(
      g.lanes, f.norms != nullptr, [&](auto whole, auto norms) __attribute__((always_inline)) {
        const Values<whole.value, norms.value> values(f.norms, g.lanes);
        const F32 limit = get<whole.value>(gate.limit, g.lanes);
        for (std::int64_t r = 0; r < g.rows; ++r) {
          const F32 p = get<whole.value>(f.base + r * g.stride, g.lanes);
          const F32 full = values.full(p, get<whole.value>(f.conditional + r * g.stride, g.lanes));
          put<whole.value>(f.dst + r * f.dst_stride, if_greater(p, limit, full, values.base(p)), g.lanes);
          open += if_greater(p, limit, set(1), I32{});
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
  dispatch(
      g.lanes, f.norms != nullptr, [&](auto whole, auto norms) __attribute__((always_inline)) {
        const Values<whole.value, norms.value> values(f.norms, g.lanes);
        for (std::int64_t r = 0; r < g.rows; ++r) {
          const F32 p = get<whole.value>(f.base + r * g.stride, g.lanes);
          F32 v = values.base(p);
          if (score[r] > 0) {
            v = values.full(p, get<whole.value>(f.conditional + r * g.stride, g.lanes));
            open += g.lanes;
          }
          put<whole.value>(f.dst + r * f.dst_stride, v, g.lanes);
        }
      });
  return open;
}

/// Gradients of one group: sums by channel for runs of rows in fp32, then in double.
template <bool kWhole, bool kNorms, class T>
struct Gradients {
  const GateBackward<T>& b;
  const int lanes;
  const Values<kWhole, kNorms> values;
  const F32 slope, mean, full_mean;
  F32 u_sum{}, u_dot{}, full_sum{}, full_dot{}, base_sum{}, base_dot{};

  SLUICE_INLINE Gradients(ChannelGroup g, const GateConstants& gate, const GateBackward<T>& backward)
      : b(backward),
        lanes(g.lanes),
        values(backward.norms, g.lanes),
        slope(get<kWhole>(gate.slope, g.lanes)),
        mean(backward.mean == nullptr ? F32{} : get<kWhole>(backward.mean, g.lanes)),
        full_mean(kNorms ? get<kWhole>(backward.norms->full_mean, g.lanes) : F32{}) {}

  /// One pixel at `at`: its gradient, that of what is open and of what is closed, and the surrogate's.
  SLUICE_INLINE void add(std::int64_t at, F32 p, F32 r, F32 diff, F32 open, F32 u) {
    u_sum += u;
    u_dot += u * (p - mean);
    if (!kNorms) {
      put<kWhole>(b.diff_conditional + at, open, lanes);
      put<kWhole>(b.diff_base + at, diff + slope * u, lanes);
      return;
    }
    const F32 closed = diff - open, full = open * values.full_scale;
    put<kWhole>(b.diff_conditional + at, full, lanes);
    put<kWhole>(b.diff_base + at, full + closed * values.base_scale + slope * u, lanes);
    full_sum += open;
    full_dot += open * (p + r - full_mean);
    base_sum += closed;
    base_dot += closed * (p - mean);
  }

  SLUICE_INLINE void flush(double* sum, double* dot) {
    widen_add(sum, u_sum, lanes);
    if (b.mean != nullptr) widen_add(dot, u_dot, lanes);
    u_sum = u_dot = F32{};
    if (!kNorms) return;
    widen_add(b.full_sums, full_sum, lanes);
    widen_add(b.full_sums + 16, full_dot, lanes);
    widen_add(b.base_sums, base_sum, lanes);
    widen_add(b.base_sums + 16, base_dot, lanes);
    full_sum = full_dot = base_sum = base_dot = F32{};
  }
};

template <class T>
void backward(ChannelGroup g, const GateConstants& gate, Surrogate surrogate, const GateBackward<T>& b, double* sum,
              double* dot) {
  dispatch(
      g.lanes, b.norms != nullptr, [&](auto whole, auto norms) __attribute__((always_inline)) {
        Gradients<whole.value, norms.value, T> gradients(g, gate, b);
        const F32 limit = get<whole.value>(gate.limit, g.lanes), gain = set(b.gain);
        for (std::int64_t row = 0; row < g.rows; ++row) {
          const std::int64_t at = row * g.stride;
          const F32 p = get<whole.value>(b.base + at, g.lanes), r = get<whole.value>(b.conditional + at, g.lanes);
          const F32 diff = get<whole.value>(b.diff_dst + row * b.dst_stride, g.lanes);
          const F32 q = (p - limit) * gradients.slope;
          const F32 u = (diff * gradients.values.difference(p, r) + gain) * surrogate_slope(q, surrogate);
          gradients.add(at, p, r, diff, if_greater(p, limit, diff, F32{}), u);
          if (row % kSummedInSingle == kSummedInSingle - 1) gradients.flush(sum, dot);
        }
        gradients.flush(sum, dot);
      });
}

template <class T>
void gradient(ChannelGroup g, const GateBackward<T>& b, float* gradient, bool add) {
  dispatch(
      g.lanes, b.norms != nullptr, [&](auto whole, auto norms) __attribute__((always_inline)) {
        const Values<whole.value, norms.value> values(b.norms, g.lanes);
        const float gain = b.gain * static_cast<float>(g.lanes);
        for (std::int64_t row = 0; row < g.rows; ++row) {
          const F32 diff = get<whole.value>(b.diff_dst + row * b.dst_stride, g.lanes);
          const F32 p = get<whole.value>(b.base + row * g.stride, g.lanes);
          const F32 r = get<whole.value>(b.conditional + row * g.stride, g.lanes);
          const float sum = sum_of(diff * values.difference(p, r)) + gain;
          gradient[row] = add ? gradient[row] + sum : sum;
        }
      });
}

template <class T>
void backward_scored(ChannelGroup g, const GateConstants& gate, Surrogate surrogate, std::int64_t width,
                     const float* score, const float* gradient, const GateBackward<T>& b, double* sum, double* dot) {
  const F32 share = set(1.0F / static_cast<float>(width));
  dispatch(
      g.lanes, b.norms != nullptr, [&](auto whole, auto norms) __attribute__((always_inline)) {
        Gradients<whole.value, norms.value, T> gradients(g, gate, b);
        for (std::int64_t row = 0; row < g.rows; ++row) {
          const std::int64_t at = row * g.stride;
          const F32 p = get<whole.value>(b.base + at, g.lanes), r = get<whole.value>(b.conditional + at, g.lanes);
          const F32 diff = get<whole.value>(b.diff_dst + row * b.dst_stride, g.lanes), s = set(score[row]);
          const F32 u = set(gradient[row]) * surrogate_slope(s * share, surrogate) * share;
          gradients.add(at, p, r, diff, if_greater(s, F32{}, diff, F32{}), u);
          if (row % kSummedInSingle == kSummedInSingle - 1) gradients.flush(sum, dot);
        }
        gradients.flush(sum, dot);
      });
}

/// result = sums by channel of row(r) over the group's rows: in fp32 for runs of them, then in double.
template <class Row>
SLUICE_INLINE void sum_rows(ChannelGroup g, float* result, Row&& row) {
  double sums[kLanes] = {};
  for (std::int64_t begin = 0; begin < g.rows; begin += kSummedInSingle) {
    const std::int64_t end = begin + kSummedInSingle < g.rows ? begin + kSummedInSingle : g.rows;
    F32 sum{};
    for (std::int64_t r = begin; r < end; ++r) sum += row(r);
    widen_add(sums, sum, g.lanes);
  }
  for (int lane = 0; lane < g.lanes; ++lane) result[lane] = static_cast<float>(sums[lane]);
}

template <class T>
void channel_score(ChannelGroup g, const GateConstants& gate, const T* base, float* score) {
  by_width(
      g.lanes, [&](auto whole) __attribute__((always_inline)) {
        const F32 limit = get<whole.value>(gate.limit, g.lanes), slope = get<whole.value>(gate.slope, g.lanes);
        sum_rows(
            g, score, [&](std::int64_t r) __attribute__((always_inline)) {
              return (get<whole.value>(base + r * g.stride, g.lanes) - limit) * slope;
            });
      });
}

template <class T>
std::int64_t forward_channels(ChannelGroup g, const float* score, const GateForward<T>& f) {
  dispatch(
      g.lanes, f.norms != nullptr, [&](auto whole, auto norms) __attribute__((always_inline)) {
        const Values<whole.value, norms.value> values(f.norms, g.lanes);
        const F32 s = get<whole.value>(score, g.lanes);
        for (std::int64_t r = 0; r < g.rows; ++r) {
          const F32 p = get<whole.value>(f.base + r * g.stride, g.lanes);
          const F32 full = values.full(p, get<whole.value>(f.conditional + r * g.stride, g.lanes));
          put<whole.value>(f.dst + r * f.dst_stride, if_greater(s, F32{}, full, values.base(p)), g.lanes);
        }
      });
  std::int64_t open = 0;
  for (int lane = 0; lane < g.lanes; ++lane) open += score[lane] > 0 ? g.rows : 0;
  return open;
}

template <class T>
void channel_gradient(ChannelGroup g, const GateBackward<T>& b, float* gradient) {
  dispatch(
      g.lanes, b.norms != nullptr, [&](auto whole, auto norms) __attribute__((always_inline)) {
        const Values<whole.value, norms.value> values(b.norms, g.lanes);
        const F32 gain = set(b.gain);
        sum_rows(
            g, gradient, [&](std::int64_t r) __attribute__((always_inline)) {
              const F32 diff = get<whole.value>(b.diff_dst + r * b.dst_stride, g.lanes);
              const F32 p = get<whole.value>(b.base + r * g.stride, g.lanes);
              return diff * values.difference(p, get<whole.value>(b.conditional + r * g.stride, g.lanes)) + gain;
            });
      });
}

template <class T>
void backward_channels(ChannelGroup g, const GateConstants& gate, Surrogate surrogate, const float* score,
                       const float* gradient, const GateBackward<T>& b, double* sum, double* dot) {
  const F32 share = set(1.0F / static_cast<float>(g.rows));
  dispatch(
      g.lanes, b.norms != nullptr, [&](auto whole, auto norms) __attribute__((always_inline)) {
        Gradients<whole.value, norms.value, T> gradients(g, gate, b);
        const F32 s = get<whole.value>(score, g.lanes);
        const F32 u = get<whole.value>(gradient, g.lanes) * surrogate_slope(s * share, surrogate) * share;
        for (std::int64_t row = 0; row < g.rows; ++row) {
          const std::int64_t at = row * g.stride;
          const F32 p = get<whole.value>(b.base + at, g.lanes), r = get<whole.value>(b.conditional + at, g.lanes);
          const F32 diff = get<whole.value>(b.diff_dst + row * b.dst_stride, g.lanes);
          gradients.add(at, p, r, diff, if_greater(s, F32{}, diff, F32{}), u);
          if (row % kSummedInSingle == kSummedInSingle - 1) gradients.flush(sum, dot);
        }
        gradients.flush(sum, dot);
      });
}

template <class T>
void full_statistics(ChannelGroup g, const T* base, const T* conditional, const float* pivot, double* sum,
                     double* square) {
  by_width(
      g.lanes, [&](auto whole) __attribute__((always_inline)) {
        const F32 centre = get<whole.value>(pivot, g.lanes);
        for (std::int64_t begin = 0; begin < g.rows; begin += kSummedInSingle) {
          const std::int64_t end = begin + kSummedInSingle < g.rows ? begin + kSummedInSingle : g.rows;
          F32 s{}, q{};
          for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t at = row * g.stride;
            const F32 p = get<whole.value>(base + at, g.lanes), r = get<whole.value>(conditional + at, g.lanes);
            const F32 x = p + r - centre;
            s += x;
            q += x * x;
          }
          widen_add(sum, s, g.lanes);
          widen_add(square, q, g.lanes);
        }
      });
}

template <class T>
void correct(ChannelGroup g, const GateCorrection& correction, const GateBackward<T>& b) {
  dispatch(
      g.lanes, correction.full_mean != nullptr, [&](auto whole, auto norms) __attribute__((always_inline)) {
        const F32 mean = get<whole.value>(correction.mean, g.lanes);
        const F32 vb = get<whole.value>(correction.b, g.lanes), vc = get<whole.value>(correction.c, g.lanes);
        F32 full_mean{}, full_b{}, full_c{};
        if (norms.value) {
          full_mean = get<whole.value>(correction.full_mean, g.lanes);
          full_b = get<whole.value>(correction.full_b, g.lanes);
          full_c = get<whole.value>(correction.full_c, g.lanes);
        }
        for (std::int64_t row = 0; row < g.rows; ++row) {
          const std::int64_t at = row * g.stride;
          const F32 p = get<whole.value>(b.base + at, g.lanes);
          F32 taken = vb + vc * (p - mean);
          if (norms.value) {
            const F32 full = full_b + full_c * (p + get<whole.value>(b.conditional + at, g.lanes) - full_mean);
            put<whole.value>(b.diff_conditional + at, get<whole.value>(b.diff_conditional + at, g.lanes) - full,
                             g.lanes);
            taken += full;
          }
          put<whole.value>(b.diff_base + at, get<whole.value>(b.diff_base + at, g.lanes) - taken, g.lanes);
        }
      });
}

template <class T>
constexpr GateKernels<T> table() {
  return {forward<T>,          backward<T>,          score<T>,           forward_scored<T>,
          gradient<T>,         backward_scored<T>,   channel_score<T>,   forward_channels<T>,
          channel_gradient<T>, backward_channels<T>, full_statistics<T>, correct<T>};
}

}  // namespace

extern const GateKernels<float> gate_f32 = table<float>();
extern const GateKernels<BFloat16> gate_bf16 = table<BFloat16>();

}  // namespace sluice::SLUICE_ISA
