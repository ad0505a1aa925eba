#include "core/data/views.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "core/data/order.hpp"

namespace sluice {

namespace {

class Subset : public Dataset {
 public:
  Subset(DatasetInfo info, std::shared_ptr<const Dataset> base, std::vector<std::int64_t> indices)
      : Dataset(std::move(info)), base_(std::move(base)), indices_(std::move(indices)) {}

  void read(const std::int64_t* indices, std::int64_t count, std::uint8_t* images,
            std::int32_t* labels) const override {
    in_base(indices, count, [&](const std::int64_t* mapped, std::int64_t begin, std::int64_t n) {
      base_->read(mapped, n, images + begin * shape().count(), labels + begin);
    });
  }

  void read_labels(const std::int64_t* indices, std::int64_t count, std::int32_t* labels) const override {
    in_base(indices, count, [&](const std::int64_t* mapped, std::int64_t begin, std::int64_t n) {
      base_->read_labels(mapped, n, labels + begin);
    });
  }

  bool decodes() const override { return base_->decodes(); }
  std::int32_t read_for_training(std::int64_t index, const TrainingDraw& draw, std::uint8_t* image) const override {
    return base_->read_for_training(indices_[static_cast<std::size_t>(index)], draw, image);
  }
  std::optional<std::int32_t> read_for_evaluation(std::int64_t index, std::uint8_t* image) const override {
    return base_->read_for_evaluation(indices_[static_cast<std::size_t>(index)], image);
  }
  std::string image_name(std::int64_t index) const override {
    return base_->image_name(indices_[static_cast<std::size_t>(index)]);
  }
  std::vector<std::string> take_notes() const override { return base_->take_notes(); }

  ReadGroups groups() const override {
    ReadGroups groups = base_->groups();
    std::vector<std::int64_t> starts;
    for (const std::int64_t start : groups.starts) {
      const auto first = std::lower_bound(indices_.begin(), indices_.end(), start) - indices_.begin();
      if (first == size()) break;
      if (!starts.empty() && starts.back() == first) continue;  // nothing of the group before was chosen
      starts.push_back(first);
    }
    groups.starts = std::move(starts);
    return groups;
  }

 private:
  /// Calls body(indices of the base, position of the first, their number) block by block.
  template <class Body>
  void in_base(const std::int64_t* indices, std::int64_t count, Body&& body) const {
    constexpr std::int64_t kBlock = 256;
    std::int64_t mapped[kBlock];
    for (std::int64_t begin = 0; begin < count; begin += kBlock) {
      const std::int64_t n = std::min(kBlock, count - begin);
      for (std::int64_t i = 0; i < n; ++i) mapped[i] = indices_[static_cast<std::size_t>(indices[begin + i])];
      body(mapped, begin, n);
    }
  }

  std::shared_ptr<const Dataset> base_;
  std::vector<std::int64_t> indices_;
};

class Padded : public Dataset {
 public:
  Padded(DatasetInfo info, std::shared_ptr<const Dataset> base)
      : Dataset(std::move(info)),
        base_(std::move(base)),
        top_((shape().height - base_->shape().height) / 2),
        left_((shape().width - base_->shape().width) / 2),
        repeat_(shape().channels / base_->shape().channels) {}

  // The small images are read into the end of the buffer and spread from its beginning: what is written never passes
  // what is still to be read, because the rest of the large images needs at least as many bytes as the rest of the
  // small ones.
  void read(const std::int64_t* indices, std::int64_t count, std::uint8_t* images,
            std::int32_t* labels) const override {
    const std::uint8_t* src = images + count * (shape().count() - base_->shape().count());
    base_->read(indices, count, images + (src - images), labels);
    for (std::int64_t i = 0; i < count; ++i) {
      spread(src + i * base_->shape().count(), images + i * shape().count());
    }
  }

  void read_labels(const std::int64_t* indices, std::int64_t count, std::int32_t* labels) const override {
    base_->read_labels(indices, count, labels);
  }

  bool decodes() const override { return base_->decodes(); }
  std::int32_t read_for_training(std::int64_t index, const TrainingDraw& draw, std::uint8_t* image) const override {
    std::uint8_t* const src = image + shape().count() - base_->shape().count();
    const std::int32_t label = base_->read_for_training(index, draw, src);
    spread(src, image);
    return label;
  }
  std::optional<std::int32_t> read_for_evaluation(std::int64_t index, std::uint8_t* image) const override {
    std::uint8_t* const src = image + shape().count() - base_->shape().count();
    const std::optional<std::int32_t> label = base_->read_for_evaluation(index, src);
    if (label) spread(src, image);
    return label;
  }
  bool digest_sources(std::int64_t images, Digest& digest) const override {
    return base_->digest_sources(images, digest);
  }
  std::string image_name(std::int64_t index) const override { return base_->image_name(index); }
  std::vector<std::string> take_notes() const override { return base_->take_notes(); }

  std::vector<PixelCounts> count_pixels(const StopCheck& check_stop) const override {
    std::vector<PixelCounts> counts = base_->count_pixels(check_stop);
    if (repeat_ > 1) counts.resize(static_cast<std::size_t>(shape().channels), counts[0]);
    return counts;
  }

  ReadGroups groups() const override { return base_->groups(); }

 private:
  static std::uint8_t* zeros(std::uint8_t* dst, std::int64_t count) {
    std::memset(dst, 0, static_cast<std::size_t>(count));
    return dst + count;
  }

  void spread(const std::uint8_t* src, std::uint8_t* dst) const {
    const ImageShape &small = base_->shape(), &large = shape();
    dst = zeros(dst, top_ * large.width * large.channels);
    for (std::int64_t y = 0; y < small.height; ++y) {
      dst = zeros(dst, left_ * large.channels);
      for (std::int64_t x = 0; x < small.width * small.channels; ++x) {
        const std::uint8_t value = *src++;
        for (std::int64_t c = 0; c < repeat_; ++c) *dst++ = value;
      }
      dst = zeros(dst, (large.width - small.width - left_) * large.channels);
    }
    zeros(dst, (large.height - small.height - top_) * large.width * large.channels);
  }

  std::shared_ptr<const Dataset> base_;
  std::int64_t top_, left_, repeat_;
};

}  // namespace

std::unique_ptr<Dataset> make_subset(std::shared_ptr<const Dataset> base, std::vector<std::int64_t> indices) {
  assert(std::is_sorted(indices.begin(), indices.end()));
  DatasetInfo info = base->info();
  info.size = static_cast<std::int64_t>(indices.size());
  return std::make_unique<Subset>(std::move(info), std::move(base), std::move(indices));
}

std::shared_ptr<const Dataset> make_padded(std::shared_ptr<const Dataset> base, std::int64_t pad_to,
                                           std::int64_t channels) {
  DatasetInfo info = base->info();
  if (pad_to > 0) {
    if (info.shape.height > pad_to || info.shape.width > pad_to) {
      throw Error(ExitCode::kData, concat("[data] pad_to: expected at least the size of the images of ", info.name,
                                          ", ", info.shape.height, "x", info.shape.width, ", got ", pad_to));
    }
    info.shape.height = info.shape.width = pad_to;
  }
  if (channels > 0 && channels != info.shape.channels) {
    if (info.shape.channels != 1) {
      throw Error(ExitCode::kData, concat("[data] channels: the images of ", info.name, " have ", info.shape.channels,
                                          " channels, and only 1 can be repeated, got ", channels));
    }
    info.shape.channels = channels;
  }
  if (info.shape == base->shape()) return base;
  return std::make_shared<Padded>(std::move(info), std::move(base));
}

TrainingSets hold_out(std::shared_ptr<const Dataset> base, HeldOut held_out) {
  if (held_out.images > 0 && held_out.drawn_from > base->size()) {
    throw Error(ExitCode::kData,
                concat("[data] validation: the images held out of ", base->name(), " are drawn from its first ",
                       held_out.drawn_from, ", expected at least as many images, got ", base->size(),
                       ", of which others would be held out; put the old set back, or set validation_from"));
  }
  if (held_out.drawn_from == 0 || held_out.images == 0) held_out.drawn_from = base->size();
  if (held_out.images == 0) return {base, base, nullptr, held_out};
  if (held_out.images >= held_out.drawn_from) {
    throw Error(ExitCode::kData, concat("[data] validation: expected fewer than the ", held_out.drawn_from,
                                        " training images of ", base->name(), ", got ", held_out.images));
  }
  std::vector<std::int64_t> all(static_cast<std::size_t>(base->size()));
  std::iota(all.begin(), all.end(), 0);
  Shuffler(static_cast<std::uint64_t>(held_out.seed), Purpose::kSplit, 0).shuffle(all.data(), held_out.drawn_from);
  const auto middle = all.begin() + held_out.images;
  std::vector<std::int64_t> validation(all.begin(), middle), train(middle, all.end());
  std::sort(validation.begin(), validation.end());
  std::sort(train.begin(), train.end());
  return {base, make_subset(base, std::move(train)), make_subset(base, std::move(validation)), held_out};
}

}  // namespace sluice
