#include "core/data/dataset.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/base/error.hpp"
#include "core/config/text.hpp"
#include "core/data/formats.hpp"
#include "core/data/set_description.hpp"
#include "core/data/transformed.hpp"
#include "core/data/views.hpp"

namespace sluice {

namespace {

constexpr std::int64_t kBlockBytes = 1 << 20;

std::unique_ptr<Dataset> open_stored(const DataOptions& options, Split split) {
  switch (options.kind) {
    case DataKind::kCifar10:
    case DataKind::kCifar100:
      return open_cifar(options, split);
    case DataKind::kIdx:
      return open_idx(options, split);
    case DataKind::kHdf5:
      return open_hdf5(options, split);
    case DataKind::kFolder:
      return open_folder(options, split);
    case DataKind::kSynthetic:
      break;
  }
  return open_synthetic(options, split);
}

/// The set with the transforms of the options; one of pictures has them already.
std::shared_ptr<const Dataset> open_transformed(const DataOptions& options, Split split) {
  std::shared_ptr<const Dataset> stored = open_stored(options, split);
  if (stored->decodes() || (options.transforms.empty() && options.eval_transforms.empty())) return stored;
  return make_transformed(std::move(stored), options);
}

std::shared_ptr<const Dataset> padded(std::shared_ptr<const Dataset> stored, const DataOptions& options) {
  return make_padded(std::move(stored), options.pad_to, options.channels);
}

}  // namespace

std::string Dataset::class_name(std::int64_t label) const {
  if (class_names().empty()) return std::to_string(label);
  return class_names()[static_cast<std::size_t>(label)];
}

void Dataset::read_labels(const std::int64_t* indices, std::int64_t count, std::int32_t* labels) const {
  const std::int64_t block =
      std::clamp<std::int64_t>(kBlockBytes / shape().count(), 1, std::max<std::int64_t>(count, 1));
  std::vector<std::uint8_t> images(static_cast<std::size_t>(block * shape().count()));
  for (std::int64_t first = 0; first < count; first += block)
    read(indices + first, std::min(block, count - first), images.data(), labels + first);
}

std::int32_t Dataset::read_for_training(std::int64_t index, const TrainingDraw&, std::uint8_t* image) const {
  std::int32_t label = 0;
  read(&index, 1, image, &label);
  return label;
}

std::optional<std::int32_t> Dataset::read_for_evaluation(std::int64_t index, std::uint8_t* image) const {
  std::int32_t label = 0;
  read(&index, 1, image, &label);
  return label;
}

bool Dataset::digest_sources(std::int64_t, Digest&) const {
  return false;
}

namespace {

/// Of `images` images that lie one behind the other.
void count(const std::uint8_t* at, std::int64_t images, const ImageShape& shape, std::vector<PixelCounts>& counts) {
  for (std::int64_t pixel = 0; pixel < images * shape.height * shape.width; ++pixel) {
    for (PixelCounts& channel : counts) ++channel[*at++];
  }
}

/// What cannot be read counts nothing, where evaluations leave it out.
std::vector<PixelCounts> count_decoded(const Dataset& dataset, const StopCheck& check_stop) {
  constexpr std::int64_t kMostDecoded = 2048;
  const ImageShape& shape = dataset.shape();
  std::vector<std::uint8_t> image(static_cast<std::size_t>(shape.count()));
  std::vector<PixelCounts> counts(static_cast<std::size_t>(shape.channels), PixelCounts{});
  const std::int64_t size = dataset.size(), total = std::min(size, kMostDecoded);
  std::int64_t counted = 0;
  for (std::int64_t i = 0; i < total; ++i) {
    if (check_stop) check_stop();
    if (!dataset.read_for_evaluation(i * size / total, image.data())) continue;
    count(image.data(), 1, shape, counts);
    ++counted;
  }
  if (counted == 0)
    throw Error(ExitCode::kData, concat(dataset.name(), ": none of ", total < size ? concat(total, " of ") : "", "its ",
                                        size, " pictures can be read"));
  return counts;
}

}  // namespace

std::vector<PixelCounts> Dataset::count_pixels(const StopCheck& check_stop) const {
  if (decodes()) return count_decoded(*this, check_stop);
  const std::int64_t block = std::clamp<std::int64_t>(kBlockBytes / shape().count(), 1, size());
  std::vector<std::uint8_t> images(static_cast<std::size_t>(block * shape().count()));
  std::vector<std::int32_t> labels(static_cast<std::size_t>(block));
  std::vector<std::int64_t> indices(static_cast<std::size_t>(block));
  std::vector<PixelCounts> counts(static_cast<std::size_t>(shape().channels), PixelCounts{});
  for (std::int64_t first = 0; first < size(); first += block) {
    if (check_stop) check_stop();
    const std::int64_t n = std::min(block, size() - first);
    std::iota(indices.begin(), indices.begin() + n, first);
    read(indices.data(), n, images.data(), labels.data());
    count(images.data(), n, shape(), counts);
  }
  return counts;
}

std::string to_string(Split split) {
  switch (split) {
    case Split::kTrain:
      return "training";
    case Split::kValidation:
      return "validation";
    case Split::kTest:
      break;
  }
  return "test";
}

Classes resolve_classes(const DataOptions& options, std::int64_t fixed, std::vector<std::string> names,
                        const std::string& set_name, const std::vector<std::int32_t>& labels) {
  Classes classes;
  if (displaced_name(options.class_names, names)) {
    throw Error(ExitCode::kData,
                concat("[data] class_names: ", set_name, " has them in another order, ", join(names, ", "), ", got ",
                       join(options.class_names, ", "), "; its labels count in its own order"));
  }
  if (!options.class_names.empty()) names = options.class_names;
  const auto named = static_cast<std::int64_t>(names.size());
  if (fixed > 0 && options.classes > 0 && options.classes != fixed) {
    throw Error(ExitCode::kData,
                concat("[data] classes: ", set_name, " has ", fixed, " classes, got ", options.classes));
  }
  const std::int64_t wanted = fixed > 0 ? fixed : options.classes;
  if (wanted > 0 && named > 0 && named != wanted) {
    throw Error(ExitCode::kData, concat("[data] class_names: expected ", wanted, " names for the classes of ", set_name,
                                        ", got ", named));
  }
  classes.count = wanted > 0 ? wanted : named;
  if (classes.count == 0) classes.count = std::int64_t{1} + *std::max_element(labels.begin(), labels.end());
  classes.names = std::move(names);
  return classes;
}

std::string counted_from_one(const std::vector<std::int32_t>& labels, std::int64_t classes) {
  const auto [least, most] = std::minmax_element(labels.begin(), labels.end());
  if (labels.empty() || *least != 1 || *most != classes) return "";
  return concat(": labels count from 0, and these are 1 to ", classes);
}

TrainingSets open_training(const DataOptions& options, std::int64_t drawn_from) {
  const HeldOut held_out{options.validation, options.validation_seed,
                         options.validation_from > 0 ? options.validation_from : drawn_from};
  TrainingSets sets = hold_out(open_transformed(options, Split::kTrain), held_out);
  sets.whole = padded(std::move(sets.whole), options);
  sets.train = padded(std::move(sets.train), options);
  if (sets.validation) sets.validation = padded(std::move(sets.validation), options);
  return sets;
}

std::shared_ptr<const Dataset> open_dataset(const DataOptions& options, Split split, std::int64_t drawn_from) {
  if (split == Split::kTest) return padded(open_transformed(options, split), options);
  TrainingSets sets = open_training(options, drawn_from);
  if (split == Split::kTrain) return std::move(sets.train);
  if (!sets.validation) {
    throw Error(ExitCode::kData, concat("[data] validation: no images of ", sets.train->name(),
                                        " are held out to validate on, got 0; set it above 0"));
  }
  return std::move(sets.validation);
}

}  // namespace sluice
