// The transforms of Winograd's F(4x4, 3x3) in one direction. Included only by the kernels' file, in whose namespaces
// they are. One native vector holds a pixel's channels, so that six pixels and their constants stay in registers.
#pragma once

#include "core/base/simd.hpp"

namespace sluice::SLUICE_ISA::winograd {

using simd::NativeF32;

constexpr int kTile = 4;  // pixels of a result in one direction
constexpr int kEdge = 6;  // pixels that it sees

// The points of interpolation are 0, +-a, +-b and infinity. With 5/8 and 3/2, whose powers are exact, rounding errors
// are less than half of those with the usual 1 and 2 (measured: 5e-7 of the result's deviation, direct sums have 2e-7).
constexpr float kA = 0.625F, kB = 1.5F;
constexpr float kA2 = kA * kA, kB2 = kB * kB, kA3 = kA2 * kA, kB3 = kB2 * kB;
// Each point's weights are divided by the product of its distances to the others.
constexpr float kShare0 = 1 / (kA2 * kB2), kShareA = 0.5F / (kA2 * (kA2 - kB2)), kShareB = 0.5F / (kB2 * (kB2 - kA2));

// B^T d
SLUICE_INLINE void transform_src(NativeF32 (&d)[kEdge]) {
  const NativeF32 p = d[4] - kB2 * d[2], q = d[3] - kB2 * d[1], r = d[4] - kA2 * d[2], s = d[3] - kA2 * d[1];
  d[0] = r - kB2 * (d[2] - kA2 * d[0]);
  d[5] = (d[5] - kA2 * d[3]) - kB2 * s;
  d[1] = p + kA * q;
  d[2] = p - kA * q;
  d[3] = r + kB * s;
  d[4] = r - kB * s;
}

// A^T m
SLUICE_INLINE void transform_dst(const NativeF32 (&m)[kEdge], NativeF32 (&y)[kTile]) {
  const NativeF32 p = m[1] + m[2], q = m[1] - m[2], r = m[3] + m[4], s = m[3] - m[4];
  y[0] = (m[0] + p) + r;
  y[1] = kA * q + kB * s;
  y[2] = kA2 * p + kB2 * r;
  y[3] = (m[5] + kA3 * q) + kB3 * s;
}

// A y
SLUICE_INLINE void transform_diff(const NativeF32 (&y)[kTile], NativeF32 (&m)[kEdge]) {
  const NativeF32 p = y[0] + kA2 * y[2], q = y[1] + kA2 * y[3], r = y[0] + kB2 * y[2], s = y[1] + kB2 * y[3];
  m[0] = y[0];
  m[1] = p + kA * q;
  m[2] = p - kA * q;
  m[3] = r + kB * s;
  m[4] = r - kB * s;
  m[5] = y[3];
}

// G w
SLUICE_INLINE void transform_weights(NativeF32 w0, NativeF32 w1, NativeF32 w2, NativeF32 (&u)[kEdge]) {
  const NativeF32 p = w0 + kA2 * w2, q = kA * w1, r = w0 + kB2 * w2, s = kB * w1;
  u[0] = kShare0 * w0;
  u[1] = kShareA * (p + q);
  u[2] = kShareA * (p - q);
  u[3] = kShareB * (r + s);
  u[4] = kShareB * (r - s);
  u[5] = w2;
}

// G^T u
SLUICE_INLINE void transform_gradient(const NativeF32 (&u)[kEdge], NativeF32& w0, NativeF32& w1, NativeF32& w2) {
  const NativeF32 p = kShareA * (u[1] + u[2]), q = kShareA * (u[1] - u[2]);
  const NativeF32 r = kShareB * (u[3] + u[4]), s = kShareB * (u[3] - u[4]);
  w0 = kShare0 * u[0] + (p + r);
  w1 = kA * q + kB * s;
  w2 = u[5] + (kA2 * p + kB2 * r);
}

}  // namespace sluice::SLUICE_ISA::winograd
