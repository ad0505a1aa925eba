// Batch normalisation over one channel group, for one instruction set.
#include "layers/kernels/partial.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

template <bool kWhole, class T>
SLUICE_INLINE void statistics_of(ChannelGroup g, const T* x, const float* pivot, double* sum, double* square) {
  const F32 p = get<kWhole>(pivot, g.lanes);
  for (std::int64_t begin = 0; begin < g.rows; begin += kSummedInSingle) {
    const std::int64_t end = begin + kSummedInSingle < g.rows ? begin + kSummedInSingle : g.rows;
    F32 s0{}, s1{}, q0{}, q1{};
    std::int64_t r = begin;
    for (; r + 1 < end; r += 2) {
      const F32 a = get<kWhole>(x + r * g.stride, g.lanes) - p;
      const F32 b = get<kWhole>(x + (r + 1) * g.stride, g.lanes) - p;
      s0 += a;
      s1 += b;
      q0 += a * a;
      q1 += b * b;
    }
    if (r < end) {
      const F32 a = get<kWhole>(x + r * g.stride, g.lanes) - p;
      s0 += a;
      q0 += a * a;
    }
    widen_add(sum, s0 + s1, g.lanes);
    widen_add(square, q0 + q1, g.lanes);
  }
}

template <class T>
void statistics(ChannelGroup g, const T* x, const float* pivot, double* sum, double* square) {
  if (g.lanes == kLanes) return statistics_of<true>(g, x, pivot, sum, square);
  statistics_of<false>(g, x, pivot, sum, square);
}

template <bool kWhole, Ending kEnding, class T>
SLUICE_INLINE void forward_of(ChannelGroup g, const T* x, const T* addend, T* dst, const float* scale,
                              const float* shift, Clip clip) {
  const F32 a = get<kWhole>(scale, g.lanes), b = get<kWhole>(shift, g.lanes);
  const F32 low = set(clip.low), high = set(clip.high);
  for (std::int64_t r = 0; r < g.rows; ++r) {
    const std::int64_t at = r * g.stride;
    F32 v = get<kWhole>(x + at, g.lanes) * a + b;
    if (kEnding == Ending::kClipAdd) v = simd::clip(v, low, high);
    if (kEnding >= Ending::kAdd) v += get<kWhole>(addend + at, g.lanes);
    if (kEnding == Ending::kClip || kEnding == Ending::kAddClip) v = simd::clip(v, low, high);
    put<kWhole>(dst + at, v, g.lanes);
  }
}

template <Ending kEnding, class T>
void forward_as(ChannelGroup g, const T* x, const T* addend, T* dst, const float* scale, const float* shift,
                Clip clip) {
  if (g.lanes == kLanes) return forward_of<true, kEnding>(g, x, addend, dst, scale, shift, clip);
  forward_of<false, kEnding>(g, x, addend, dst, scale, shift, clip);
}

template <class T>
void forward(ChannelGroup g, Ending ending, const T* x, const T* addend, T* dst, const float* scale, const float* shift,
             Clip clip) {
  switch (ending) {
    case Ending::kNone:
      return forward_as<Ending::kNone>(g, x, addend, dst, scale, shift, clip);
    case Ending::kClip:
      return forward_as<Ending::kClip>(g, x, addend, dst, scale, shift, clip);
    case Ending::kAdd:
      return forward_as<Ending::kAdd>(g, x, addend, dst, scale, shift, clip);
    case Ending::kAddClip:
      return forward_as<Ending::kAddClip>(g, x, addend, dst, scale, shift, clip);
    case Ending::kClipAdd:
      return forward_as<Ending::kClipAdd>(g, x, addend, dst, scale, shift, clip);
  }
}

/// Per-channel constants of the mask.
struct Mask {
  F32 scale, shift, low, high;
};

template <bool kWhole, GradientMask kMask, class T>
SLUICE_INLINE Mask make_mask(ChannelGroup g, const NormGradient<T>& in) {
  Mask m{{}, {}, set(in.clip.low), set(in.clip.high)};
  if (kMask == GradientMask::kFromSrc) {
    m.scale = get<kWhole>(in.scale, g.lanes);
    m.shift = get<kWhole>(in.shift, g.lanes);
  }
  return m;
}

template <bool kWhole, GradientMask kMask, class T>
SLUICE_INLINE F32 masked(F32 diff, F32 x, const T* dst, const Mask& m, int lanes) {
  if (kMask == GradientMask::kNone) return diff;
  const F32 v = kMask == GradientMask::kFromSrc ? x * m.scale + m.shift : get<kWhole>(dst, lanes);
  return keep_between(diff, v, m.low, m.high);
}

template <bool kWhole, GradientMask kMask, class T>
SLUICE_INLINE void reduce_of(ChannelGroup g, const NormGradient<T>& in, T* diff_addend, double* sum, double* dot) {
  const Mask m = make_mask<kWhole, kMask>(g, in);
  const F32 mean = get<kWhole>(in.mean, g.lanes);
  for (std::int64_t begin = 0; begin < g.rows; begin += kSummedInSingle) {
    const std::int64_t end = begin + kSummedInSingle < g.rows ? begin + kSummedInSingle : g.rows;
    F32 s{}, d{};
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t at = r * g.stride;
      const F32 x = get<kWhole>(in.src + at, g.lanes);
      F32 diff = get<kWhole>(in.diff_dst + at, g.lanes);
      if (in.diff_dst2 != nullptr) diff += get<kWhole>(in.diff_dst2 + at, g.lanes);
      const F32 kept = masked<kWhole, kMask>(diff, x, in.dst + at, m, g.lanes);
      if (diff_addend != nullptr) put<kWhole>(diff_addend + at, kMask == GradientMask::kFromDst ? kept : diff, g.lanes);
      s += kept;
      d += kept * (x - mean);
    }
    widen_add(sum, s, g.lanes);
    widen_add(dot, d, g.lanes);
  }
}

template <bool kWhole, GradientMask kMask, class T>
SLUICE_INLINE void apply_of(ChannelGroup g, const NormGradient<T>& in, const float* a, const float* b, const float* c,
                            T* diff_src) {
  const Mask m = make_mask<kWhole, kMask>(g, in);
  const F32 mean = get<kWhole>(in.mean, g.lanes);
  const F32 va = get<kWhole>(a, g.lanes), vb = get<kWhole>(b, g.lanes), vc = get<kWhole>(c, g.lanes);
  for (std::int64_t r = 0; r < g.rows; ++r) {
    const std::int64_t at = r * g.stride;
    const F32 x = get<kWhole>(in.src + at, g.lanes);
    F32 diff = get<kWhole>(in.diff_dst + at, g.lanes);
    if (in.diff_dst2 != nullptr) diff += get<kWhole>(in.diff_dst2 + at, g.lanes);
    const F32 kept = masked<kWhole, kMask>(diff, x, in.dst + at, m, g.lanes);
    put<kWhole>(diff_src + at, va * kept - vb - vc * (x - mean), g.lanes);
  }
}

// Calls body<whole, mask>() for the run-time values.
template <class Body>
SLUICE_INLINE void dispatch(GradientMask mask, bool whole, Body&& body) {
  using std::integral_constant;
  const auto with_mask = [&](auto m) __attribute__((always_inline)) {
    if (whole) {
      body(integral_constant<bool, true>{}, m);
    } else {
      body(integral_constant<bool, false>{}, m);
    }
  };
  switch (mask) {
    case GradientMask::kNone:
      return with_mask(integral_constant<GradientMask, GradientMask::kNone>{});
    case GradientMask::kFromSrc:
      return with_mask(integral_constant<GradientMask, GradientMask::kFromSrc>{});
    case GradientMask::kFromDst:
      return with_mask(integral_constant<GradientMask, GradientMask::kFromDst>{});
  }
}

template <class T>
void backward_reduce(ChannelGroup g, GradientMask mask, const NormGradient<T>& in, T* diff_addend, double* sum,
                     double* dot) {
  dispatch(
      mask, g.lanes == kLanes, [&](auto whole, auto m) __attribute__((always_inline)) {
        reduce_of<whole.value, m.value>(g, in, diff_addend, sum, dot);
      });
}

template <class T>
void backward_apply(ChannelGroup g, GradientMask mask, const NormGradient<T>& in, const float* a, const float* b,
                    const float* c, T* diff_src) {
  dispatch(
      mask, g.lanes == kLanes, [&](auto whole, auto m) __attribute__((always_inline)) {
        apply_of<whole.value, m.value>(g, in, a, b, c, diff_src);
      });
}

template <class T>
constexpr NormKernels<T> table() {
  return {statistics<T>, forward<T>, backward_reduce<T>, backward_apply<T>};
}

}  // namespace

extern const NormKernels<float> norm_f32 = table<float>();
extern const NormKernels<BFloat16> norm_bf16 = table<BFloat16>();

}  // namespace sluice::SLUICE_ISA
