#include "core/data/packed.hpp"

#include <algorithm>
#include <mutex>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/data/transformed.hpp"

namespace sluice {

namespace {

constexpr std::int64_t kGroupBytes = 1 << 20;

/// The first picture of each group of at least so many bytes, and the end.
std::vector<std::int64_t> group_pictures(const std::vector<std::int64_t>& offsets) {
  std::vector<std::int64_t> starts = {0};
  const auto pictures = static_cast<std::int64_t>(offsets.size()) - 1;
  for (std::int64_t i = 1; i < pictures; ++i) {
    const auto first = static_cast<std::size_t>(starts.back());
    if (offsets[static_cast<std::size_t>(i)] - offsets[first] >= kGroupBytes) starts.push_back(i);
  }
  starts.push_back(pictures);
  return starts;
}

class PackedPictures : public PictureStore {
 public:
  PackedPictures(std::unique_ptr<RemoteImages> file, const DecodeOptions& decode, std::int64_t memory_bytes)
      : where_(file->set().images_where),
        labels_(std::move(file->set().labels)),
        offsets_(file->set().offsets),
        names_(std::move(file->set().names)),
        decode_(decode) {
    if (offsets_.back() <= memory_bytes) {
      file->load();
      all_ = file->memory();
    } else {
      stream(std::move(file), memory_bytes);
    }
  }

  std::int32_t label(std::int64_t index) const override { return labels_[static_cast<std::size_t>(index)]; }
  std::string name(std::int64_t index) const override {
    return names_.empty() ? std::string() : names_[static_cast<std::size_t>(index)];
  }
  void load(std::int64_t index, bool training, const ChooseWindow& choose, PictureScratch& scratch) const override {
    DecodeOptions options = decode_;
    options.fast = options.fast && training;
    const std::string_view encoded = read(index, scratch.bytes);
    try {
      decode_picture(encoded, options, choose, scratch.decode, scratch.picture);
    } catch (const Error& error) {
      throw Error(error.code(), concat(where_, ": picture ", index, names_.empty() ? "" : " (", one_line(name(index)),
                                       names_.empty() ? "" : ")", ": ", error.what()));
    }
  }
  void digest(std::int64_t images, Digest& digest) const override {
    std::string bytes;
    digest_pictures(
        images, [&](std::int64_t i) { return name(i); }, [&](std::int64_t i) { return size(i); },
        [&](std::int64_t i) { return read(i, bytes); }, digest);
  }
  ReadGroups groups() const override {
    if (cache_ == nullptr) return {};
    return {{group_pictures_.begin(), group_pictures_.end() - 1}, cache_->at_once()};
  }

 private:
  void stream(std::unique_ptr<RemoteImages> file, std::int64_t memory_bytes) {
    group_pictures_ = group_pictures(offsets_);
    std::vector<std::int64_t> starts;
    for (const std::int64_t picture : group_pictures_) starts.push_back(offsets_[static_cast<std::size_t>(picture)]);
    const std::int64_t largest = largest_group(starts), at_once = memory_bytes / largest;
    if (at_once < 2)
      throw Error(ExitCode::kData, concat(where_, ": its pictures come in groups of up to ", largest,
                                          " bytes, expected at least two of them to fit into ", memory_bytes,
                                          " bytes; raise [data] hdf5_memory_mib"));
    cache_ = std::make_unique<GroupCache>(std::move(file), std::move(starts), at_once);
  }

  std::int64_t size(std::int64_t index) const {
    const auto at = static_cast<std::size_t>(index);
    return offsets_[at + 1] - offsets_[at];
  }

  /// The bytes of a picture, where they lie or in `copy`.
  std::string_view read(std::int64_t index, std::string& copy) const {
    const std::int64_t begin = offsets_[static_cast<std::size_t>(index)];
    const auto bytes = static_cast<std::size_t>(size(index));
    if (all_ != nullptr) return {reinterpret_cast<const char*>(all_.get()) + begin, bytes};
    const std::int64_t group =
        std::upper_bound(group_pictures_.begin(), group_pictures_.end(), index) - group_pictures_.begin() - 1;
    const std::int64_t start = offsets_[static_cast<std::size_t>(group_pictures_[static_cast<std::size_t>(group)])];
    const std::lock_guard<std::mutex> lock(mutex_);
    cache_->claim(1, [group](std::int64_t) { return group; });
    const std::uint8_t* const from = cache_->fetch(group) + begin - start;
    copy.assign(reinterpret_cast<const char*>(from), bytes);
    return copy;
  }

  const std::string where_;
  const std::vector<std::int32_t> labels_;
  const std::vector<std::int64_t> offsets_;
  const std::vector<std::string> names_;
  const DecodeOptions decode_;
  std::shared_ptr<const std::uint8_t> all_;  // all pictures, or
  std::vector<std::int64_t> group_pictures_;
  mutable std::mutex mutex_;
  std::unique_ptr<GroupCache> cache_;  // of groups of them
};

}  // namespace

std::unique_ptr<Dataset> make_packed(const DataOptions& options, Classes classes, std::unique_ptr<RemoteImages> file) {
  require_picture_libraries("[data] kind");
  const std::int64_t channels = picture_channels(options);
  const ImageSet& set = file->set();
  PictureTreatment treatment = make_treatment(options);
  std::optional<PictureSize> stored;
  if (set.shape.height > 0 && set.shape.height * set.shape.width <= options.max_pixels)
    stored = PictureSize{set.shape.height, set.shape.width};
  const PictureSize size = treated_size(treatment, stored, set.images_where);
  DatasetInfo info{
      set.images_where, set.size, {channels, size.height, size.width}, classes.count, std::move(classes.names)};
  const DecodeOptions decode = {channels, options.max_pixels, options.fast_decode};
  auto store = std::make_unique<PackedPictures>(std::move(file), decode, options.hdf5_memory_mib << 20);
  return make_picture_dataset(std::move(info), std::move(store), std::move(treatment), {});
}

}  // namespace sluice
