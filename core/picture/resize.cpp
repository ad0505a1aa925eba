#include "core/picture/resize.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "core/base/isa_tables.hpp"
#include "core/picture/resize_kernels.hpp"

namespace sluice {

namespace {

/// Of the values [begin, end) of `size` to `count` values.
void make_axis(double begin, double end, std::int64_t size, std::int64_t count, ResizeAxis& axis) {
  const double step = (end - begin) / static_cast<double>(count), reach = std::max(step, 1.0);
  axis.taps = std::min<std::int64_t>(size, static_cast<std::int64_t>(std::ceil(reach)) * 2 + 1);
  axis.first.resize(static_cast<std::size_t>(count));
  axis.weights.assign(static_cast<std::size_t>(count * axis.taps), 0.0F);
  for (std::int64_t i = 0; i < count; ++i) {
    const double centre = begin + (static_cast<double>(i) + 0.5) * step;
    const auto low = std::clamp<std::int64_t>(static_cast<std::int64_t>(centre - reach + 0.5), 0, size - 1);
    const auto high = std::clamp<std::int64_t>(static_cast<std::int64_t>(centre + reach + 0.5), low + 1, size);
    const std::int64_t first = std::min(low, size - axis.taps);
    float* const weights = axis.weights.data() + i * axis.taps;
    const auto triangle = [&](std::int64_t at) {
      return std::max(0.0, 1 - std::abs((static_cast<double>(at) + 0.5 - centre) / reach));
    };
    double sum = 0;
    for (std::int64_t at = low; at < high; ++at) sum += triangle(at);
    for (std::int64_t at = low; at < high; ++at) {
      weights[at - first] = sum > 0 ? static_cast<float>(triangle(at) / sum) : (at == low ? 1.0F : 0.0F);
    }
    axis.first[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(first);
  }
}

}  // namespace

PixelView view_of(const Picture& picture, std::int64_t top, std::int64_t left, const PictureSize& size) {
  assert(top >= 0 && left >= 0 && top + size.height <= picture.size.height && left + size.width <= picture.size.width);
  return {picture.row(top) + left * picture.channels, picture.row_bytes(), size, picture.channels};
}

PixelView view_of(const Picture& picture) {
  return view_of(picture, 0, 0, picture.size);
}

// First the rows, of which each is used up at once, then the columns of the row that comes out.
void resize(const PixelView& from, const PictureBox& box, const PictureSize& to, std::uint8_t* out,
            ResizeScratch& scratch, Isa isa) {
  const ResizeKernels& kernels = SLUICE_CHOOSE(isa, resize_kernels);
  make_axis(box.top, box.bottom, from.size.height, to.height, scratch.vertical);
  make_axis(box.left, box.right, from.size.width, to.width, scratch.horizontal);
  const ResizeAxis &rows = scratch.vertical, &columns = scratch.horizontal;
  const std::int64_t begin = *std::min_element(columns.first.begin(), columns.first.end());
  const std::int64_t end = *std::max_element(columns.first.begin(), columns.first.end()) + columns.taps;
  scratch.row.resize(static_cast<std::size_t>(from.size.width * from.channels + 1));
  for (std::int64_t y = 0; y < to.height; ++y) {
    const std::int64_t first = rows.first[static_cast<std::size_t>(y)];
    kernels.blend_rows(from.pixels + first * from.row_bytes + begin * from.channels, from.row_bytes,
                       rows.weights.data() + y * rows.taps, rows.taps, (end - begin) * from.channels,
                       scratch.row.data() + begin * from.channels);
    kernels.blend_columns(scratch.row.data(), columns.first.data(), columns.weights.data(), columns.taps, to.width,
                          from.channels, out + y * to.width * from.channels);
  }
}

void resize(const PixelView& from, const PictureSize& to, std::uint8_t* out, ResizeScratch& scratch, Isa isa) {
  resize(from, {0, 0, static_cast<double>(from.size.height), static_cast<double>(from.size.width)}, to, out, scratch,
         isa);
}

}  // namespace sluice
