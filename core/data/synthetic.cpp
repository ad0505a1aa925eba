// Made-up images that can be learned: a smooth pattern for each class, shifted, brightened and buried in noise, the
// same on every machine.
#include <algorithm>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "core/data/formats.hpp"

namespace sluice {

namespace {

constexpr std::int64_t kGrid = 4;         // a pattern is a grid of random values with slopes between
constexpr std::int64_t kNoise = 1 << 16;  // bytes of noise; each image starts elsewhere in them
constexpr std::int64_t kMaxShift = 2;     // pixels

class Synthetic : public Dataset {
 public:
  Synthetic(DatasetInfo info, std::uint64_t seed, std::uint64_t split)
      : Dataset(std::move(info)), seed_(seed), split_(split) {
    Random random(seed_, Purpose::kSynthetic, kNoiseStream);
    noise_.resize(static_cast<std::size_t>(kNoise + shape().width * shape().channels));  // a row may start anywhere
    for (std::uint8_t& value : noise_) value = static_cast<std::uint8_t>(random.bits() >> 24);
    patterns_.resize(static_cast<std::size_t>(num_classes() * pattern_size()));
    for (std::int64_t label = 0; label < num_classes(); ++label) draw_pattern(label);
  }

  void read(const std::int64_t* indices, std::int64_t count, std::uint8_t* images,
            std::int32_t* labels) const override {
    for (std::int64_t i = 0; i < count; ++i) {
      labels[i] = static_cast<std::int32_t>(indices[i] % num_classes());
      draw_image(indices[i], labels[i], images + i * shape().count());
    }
  }

  void read_labels(const std::int64_t* indices, std::int64_t count, std::int32_t* labels) const override {
    for (std::int64_t i = 0; i < count; ++i) labels[i] = static_cast<std::int32_t>(indices[i] % num_classes());
  }

 private:
  // The third part of a stream's address: images of the splits, then these.
  static constexpr std::uint64_t kNoiseStream = 2, kPatternStream = 3;

  // A pattern is stored with kMaxShift more pixels on each side, which repeat its border, so that shifted rows are
  // contiguous.
  std::int64_t pattern_row() const { return (shape().width + 2 * kMaxShift) * shape().channels; }
  std::int64_t pattern_size() const { return (shape().height + 2 * kMaxShift) * pattern_row(); }

  void draw_pattern(std::int64_t label) {
    const ImageShape& size = shape();
    Random random(seed_, Purpose::kSynthetic, kPatternStream, static_cast<std::uint32_t>(label));
    std::vector<std::int64_t> grid(static_cast<std::size_t>(size.channels * (kGrid + 1) * (kGrid + 1)));
    for (std::int64_t& value : grid) value = static_cast<std::int64_t>(random.below(256));
    std::uint8_t* dst = patterns_.data() + label * pattern_size();
    for (std::int64_t row = -kMaxShift; row < size.height + kMaxShift; ++row) {
      const std::int64_t y = std::clamp<std::int64_t>(row, 0, size.height - 1);
      for (std::int64_t column = -kMaxShift; column < size.width + kMaxShift; ++column) {
        const std::int64_t x = std::clamp<std::int64_t>(column, 0, size.width - 1);
        for (std::int64_t c = 0; c < size.channels; ++c) {
          *dst++ = interpolate(grid.data() + c * (kGrid + 1) * (kGrid + 1), y, x);
        }
      }
    }
  }

  /// Bilinear, in integers: sine waves would differ in the last bit between machines.
  std::uint8_t interpolate(const std::int64_t* grid, std::int64_t y, std::int64_t x) const {
    const std::int64_t height = shape().height, width = shape().width;
    const std::int64_t row = y * kGrid / height, column = x * kGrid / width;
    const std::int64_t v = y * kGrid - row * height, u = x * kGrid - column * width;
    const std::int64_t* const corner = grid + row * (kGrid + 1) + column;
    const std::int64_t upper = corner[0] * (width - u) + corner[1] * u;
    const std::int64_t lower = corner[kGrid + 1] * (width - u) + corner[kGrid + 2] * u;
    return static_cast<std::uint8_t>((upper * (height - v) + lower * v) / (width * height));
  }

  void draw_image(std::int64_t index, std::int64_t label, std::uint8_t* dst) const {
    const ImageShape& size = shape();
    Random random(seed_, Purpose::kSynthetic, static_cast<std::uint64_t>(index) << 2 | split_);
    const auto shift = [&random] { return static_cast<std::int64_t>(random.below(2 * kMaxShift + 1)); };
    const std::int64_t dy = shift(), dx = shift();
    const int brightness = static_cast<int>(random.below(33)) - 16;
    const auto noise = static_cast<std::int64_t>(random.below(kNoise));
    const std::int64_t row_bytes = size.width * size.channels;
    const std::uint8_t* const pattern = patterns_.data() + label * pattern_size() + dx * size.channels;
    for (std::int64_t y = 0; y < size.height; ++y) {
      const std::uint8_t* const src = pattern + (y + dy) * pattern_row();
      const std::uint8_t* const add = noise_.data() + (noise + y * row_bytes) % kNoise;
      for (std::int64_t i = 0; i < row_bytes; ++i) {
        // Half of the pattern's range and half of the noise's.
        const int value = (src[i] + add[i]) / 2 + brightness;
        dst[i] = static_cast<std::uint8_t>(std::clamp(value, 0, 255));
      }
      dst += row_bytes;
    }
  }

  std::uint64_t seed_, split_;
  std::vector<std::uint8_t> noise_, patterns_;
};

}  // namespace

std::unique_ptr<Dataset> open_synthetic(const DataOptions& options, Split split) {
  constexpr std::int64_t kDefaultClasses = 10;
  const bool test = split == Split::kTest;
  const bool counted = options.classes == 0 && options.class_names.empty();
  Classes classes = resolve_classes(options, counted ? kDefaultClasses : 0, {}, "synthetic", {});
  DatasetInfo info{"synthetic", test ? options.synthetic_test_size : options.synthetic_size,
                   parse_image_shape(options.synthetic_image), classes.count, std::move(classes.names)};
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 30;
  if (info.shape.count() > kMostBytes / info.num_classes) {
    throw Error(ExitCode::kData, concat("[data] synthetic_image: the patterns of ", info.num_classes, " classes of ",
                                        to_string(info.shape), " need more than ", kMostBytes,
                                        " bytes; use smaller images or fewer classes"));
  }
  return std::make_unique<Synthetic>(std::move(info), static_cast<std::uint64_t>(options.synthetic_seed), test ? 1 : 0);
}

}  // namespace sluice
