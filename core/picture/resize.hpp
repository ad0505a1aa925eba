// Antialiased bilinear resizing: each pixel is the mean of those that a triangle covers, which is as wide as the step
// between pixels where the picture shrinks. Pillow's resize(BILINEAR), within one level.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/cpu.hpp"
#include "core/picture/picture.hpp"

namespace sluice {

/// Pixels of a picture, or of a part of one; nothing outside is read.
struct PixelView {
  const std::uint8_t* pixels = nullptr;
  std::int64_t row_bytes = 0;
  PictureSize size;
  std::int64_t channels = 0;
};
/// A part of `picture` in whole pixels.
PixelView view_of(const Picture& picture, std::int64_t top, std::int64_t left, const PictureSize& size);
PixelView view_of(const Picture& picture);

/// The weights of one axis: value i of the result is the sum of weights[i * taps + k] x value first[i] + k.
struct ResizeAxis {
  std::int64_t taps = 0;
  std::vector<std::int32_t> first;
  std::vector<float> weights;
};

/// What resizing works in; kept from picture to picture, so that nothing is allocated.
struct ResizeScratch {
  ResizeAxis vertical, horizontal;
  std::vector<float> row;
};

/// Resizes the rectangle `box` of `from` to `to`: height x width x channels bytes at `out`. The same result with each
/// instruction set.
void resize(const PixelView& from, const PictureBox& box, const PictureSize& to, std::uint8_t* out,
            ResizeScratch& scratch, Isa isa = cpu_isa());
/// All of `from`.
void resize(const PixelView& from, const PictureSize& to, std::uint8_t* out, ResizeScratch& scratch,
            Isa isa = cpu_isa());

}  // namespace sluice
