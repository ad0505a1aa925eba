#include "core/data/transformed.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "core/base/error.hpp"
#include "core/data/set_description.hpp"

namespace sluice {

namespace {

/// Keeps what threads work in between pictures: as many as there are threads at a time.
class ScratchPool {
 public:
  std::unique_ptr<PictureScratch> take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (free_.empty()) return std::make_unique<PictureScratch>();
    std::unique_ptr<PictureScratch> scratch = std::move(free_.back());
    free_.pop_back();
    return scratch;
  }
  /// What an unusually large picture needed is not kept.
  void give_back(std::unique_ptr<PictureScratch> scratch) {
    constexpr std::size_t kMostKept = 64 << 20;
    const DecodeScratch& decode = scratch->decode;
    if (decode.whole.pixels.capacity() + decode.other.pixels.capacity() + scratch->bytes.capacity() +
            scratch->picture.pixels.capacity() >
        kMostKept)
      return;
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(std::move(scratch));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<PictureScratch>> free_;
};

class PictureDataset : public Dataset {
 public:
  PictureDataset(DatasetInfo info, std::unique_ptr<const PictureStore> store, PictureTreatment treatment,
                 std::vector<std::string> notes)
      : Dataset(std::move(info)),
        store_(std::move(store)),
        treatment_(std::move(treatment)),
        notes_(std::move(notes)) {}

  void read(const std::int64_t* indices, std::int64_t count, std::uint8_t* images,
            std::int32_t* labels) const override {
    for (std::int64_t i = 0; i < count; ++i) {
      make_exactly(indices[i], images + i * shape().count());
      labels[i] = store_->label(indices[i]);
    }
  }
  void read_labels(const std::int64_t* indices, std::int64_t count, std::int32_t* labels) const override {
    for (std::int64_t i = 0; i < count; ++i) labels[i] = store_->label(indices[i]);
  }
  bool decodes() const override { return true; }
  std::int32_t read_for_training(std::int64_t index, const TrainingDraw& draw, std::uint8_t* image) const override {
    constexpr int kAttempts = 16;  // when so many fail one after another the disk is gone
    std::unique_ptr<PictureScratch> scratch = pool_.take();
    for (int attempt = 1;; ++attempt) {
      try {
        make(index, true, draw, *scratch, image);
        pool_.give_back(std::move(scratch));
        return store_->label(index);
      } catch (const Error& error) {
        if (error.code() != ExitCode::kData || attempt == kAttempts) throw;
        note(concat(error.what(), "; another picture takes its place"));
      }
      index = (index + 1) % size();
    }
  }
  std::optional<std::int32_t> read_for_evaluation(std::int64_t index, std::uint8_t* image) const override {
    try {
      make_exactly(index, image);
    } catch (const Error& error) {
      if (error.code() != ExitCode::kData || !treatment_.skip_bad_images) throw;
      note(concat(error.what(), "; evaluations leave it out"));
      return std::nullopt;
    }
    return store_->label(index);
  }
  bool digest_sources(std::int64_t images, Digest& digest) const override {
    store_->digest(images, digest);
    return true;
  }
  std::string image_name(std::int64_t index) const override { return store_->name(index); }
  ReadGroups groups() const override { return store_->groups(); }
  std::vector<std::string> take_notes() const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(notes_, {});
  }

 private:
  /// As evaluations see it.
  void make_exactly(std::int64_t index, std::uint8_t* image) const {
    static const std::vector<std::uint8_t> no_fill;
    std::unique_ptr<PictureScratch> scratch = pool_.take();
    make(index, false, {1, 0, no_fill}, *scratch, image);
    pool_.give_back(std::move(scratch));
  }

  void make(std::int64_t index, bool training, const TrainingDraw& draw, PictureScratch& scratch,
            std::uint8_t* image) const {
    const Transforms& transforms = training ? treatment_.training : treatment_.evaluation;
    const TransformDraw stream = {draw.seed, draw.epoch, static_cast<std::uint32_t>(index)};
    Picture& picture = scratch.picture;
    transforms.make(picture, stream, draw.fill, scratch.decode,
                    [&](const ChooseWindow& choose) { store_->load(index, training, choose, scratch); });
    if (picture.size != PictureSize{shape().height, shape().width} || picture.channels != shape().channels) {
      throw Error(ExitCode::kData,
                  concat(name(), ": image ", index, " is ", to_string(picture.size), ", the others are ",
                         shape().height, "x", shape().width, "; set [data] transforms and eval_transforms"));
    }
    std::memcpy(image, picture.pixels.data(), picture.pixels.size());
  }

  /// Each line once.
  void note(const std::string& line) const {
    constexpr std::size_t kMostNotes = 1000;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (notes_.size() < kMostNotes && std::find(noted_.begin(), noted_.end(), line) == noted_.end()) {
      noted_.push_back(line);
      notes_.push_back(line);
    }
  }

  std::unique_ptr<const PictureStore> store_;
  PictureTreatment treatment_;
  mutable ScratchPool pool_;
  mutable std::mutex mutex_;
  mutable std::vector<std::string> notes_, noted_;
};

/// Images of another set as pictures.
class StoredPictures : public PictureStore {
 public:
  explicit StoredPictures(std::shared_ptr<const Dataset> base) : base_(std::move(base)) {}

  std::int32_t label(std::int64_t index) const override {
    std::int32_t label = 0;
    base_->read_labels(&index, 1, &label);
    return label;
  }
  std::string name(std::int64_t index) const override { return base_->image_name(index); }
  void load(std::int64_t index, bool, const ChooseWindow& choose, PictureScratch& scratch) const override {
    std::int32_t label = 0;
    const ImageShape& shape = base_->shape();
    const PictureSize size = {shape.height, shape.width};
    scratch.decode.whole.reshape(size, shape.channels);
    base_->read(&index, 1, scratch.decode.whole.pixels.data(), &label);
    const std::optional<PictureWindow> window = choose(size);
    if (!window) return std::swap(scratch.decode.whole, scratch.picture);
    apply_window(scratch.decode.whole, *window, scratch.decode.resize, scratch.picture);
  }
  void digest(std::int64_t images, Digest& digest) const override { digest_images(*base_, images, digest); }
  ReadGroups groups() const override { return base_->groups(); }

 private:
  std::shared_ptr<const Dataset> base_;
};

}  // namespace

std::int64_t picture_channels(const DataOptions& options) {
  if (options.channels == 0 || options.channels == 1 || options.channels == 3) return options.channels == 1 ? 1 : 3;
  throw Error(ExitCode::kData,
              concat("[data] channels: pictures are decoded to 3 (colours) or 1 (grey), got ", options.channels));
}

PictureTreatment make_treatment(const DataOptions& options) {
  const bool same = options.transforms.empty();
  return {Transforms(same ? options.eval_transforms : options.transforms), Transforms(options.eval_transforms),
          options.skip_bad_images};
}

PictureSize treated_size(const PictureTreatment& treatment, const std::optional<PictureSize>& stored,
                         const std::string& name) {
  const auto size_of = [&](const Transforms& transforms, const char* key, const char* example) {
    const std::optional<PictureSize> size = transforms.size(stored);
    if (size) return *size;
    throw Error(ExitCode::kData, concat("[data] ", key, ": the pictures of ", name,
                                        " have several sizes, expected transforms that give all of them one; set ", key,
                                        " = ", example));
  };
  const PictureSize evaluated =
      size_of(treatment.evaluation, "eval_transforms", "resize(256), center_crop(224), for example");
  const PictureSize trained = size_of(treatment.training, "transforms", "random_resized_crop(224), flip, for example");
  if (evaluated != trained) {
    throw Error(ExitCode::kData, concat("[data] eval_transforms: expected the size of what is trained on, ",
                                        to_string(trained), " of ", name, ", got ", to_string(evaluated)));
  }
  return evaluated;
}

std::unique_ptr<Dataset> make_picture_dataset(DatasetInfo info, std::unique_ptr<const PictureStore> store,
                                              PictureTreatment treatment, std::vector<std::string> notes) {
  return std::make_unique<PictureDataset>(std::move(info), std::move(store), std::move(treatment), std::move(notes));
}

void digest_pictures(std::int64_t images, const std::function<std::string(std::int64_t)>& name,
                     const std::function<std::int64_t(std::int64_t)>& bytes,
                     const std::function<std::string_view(std::int64_t)>& read, Digest& digest) {
  constexpr std::int64_t kMostRead = 256, kPart = 4096;
  for (std::int64_t i = 0; i < images; ++i) {
    const std::string text = concat(name(i), '\n', bytes(i), '\n');
    digest.update(text.data(), static_cast<std::int64_t>(text.size()));
  }
  const std::int64_t some = std::min(images, kMostRead);
  for (std::int64_t i = 0; i < some; ++i) {
    const std::string_view picture = read(i * images / some);
    const auto size = static_cast<std::int64_t>(picture.size()), part = std::min(size, kPart);
    digest.update(picture.data(), part);
    digest.update(picture.data() + size - part, part);
  }
}

std::unique_ptr<Dataset> make_transformed(std::shared_ptr<const Dataset> base, const DataOptions& options) {
  DatasetInfo info = base->info();
  if (info.shape.channels != 1 && info.shape.channels != 3) {
    throw Error(ExitCode::kData, concat("[data] transforms: expected images of 1 or 3 channels, those of ", info.name,
                                        " have ", info.shape.channels));
  }
  PictureTreatment treatment = make_treatment(options);
  const PictureSize size = treated_size(treatment, PictureSize{info.shape.height, info.shape.width}, info.name);
  info.shape.height = size.height;
  info.shape.width = size.width;
  return make_picture_dataset(std::move(info), std::make_unique<StoredPictures>(std::move(base)), std::move(treatment),
                              {});
}

}  // namespace sluice
