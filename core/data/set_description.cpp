#include "core/data/set_description.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/base/digest.hpp"
#include "core/base/error.hpp"
#include "core/base/signals.hpp"

namespace sluice {

namespace {

constexpr std::int64_t kRuns = 16;
constexpr std::int64_t kRunBytes = 1 << 20;

/// Calls read(first, count) for all of `size` items, or, where they have more than kRuns x kRunBytes bytes, for kRuns
/// stretches of them that lie evenly from the first item to the last.
void sample(std::int64_t size, std::int64_t item_bytes, const std::function<void(std::int64_t, std::int64_t)>& read) {
  const std::int64_t stretch = std::max<std::int64_t>(1, kRunBytes / item_bytes);
  if (size <= kRuns * stretch) {
    for (std::int64_t first = 0; first < size; first += stretch) read(first, std::min(stretch, size - first));
    return;
  }
  const std::int64_t room = size - stretch, whole = room / (kRuns - 1), rest = room % (kRuns - 1);
  for (std::int64_t i = 0; i < kRuns; ++i) read(i * whole + i * rest / (kRuns - 1), stretch);
}

std::vector<std::int64_t> range(std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
  std::iota(indices.begin(), indices.end(), first);
  return indices;
}

}  // namespace

bool SetDescription::operator==(const SetDescription& other) const {
  return images == other.images && shape == other.shape && images_digest == other.images_digest &&
         labels_digest == other.labels_digest;
}

void digest_images(const Dataset& dataset, std::int64_t images, Digest& digest) {
  if (dataset.digest_sources(images, digest)) return;
  const std::int64_t values = dataset.shape().count();
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
  sample(images, values, [&](std::int64_t first, std::int64_t count) {
    throw_if_stopped();
    pixels.resize(static_cast<std::size_t>(count * values));
    labels.resize(static_cast<std::size_t>(count));
    dataset.read(range(first, count).data(), count, pixels.data(), labels.data());
    digest.update(pixels.data(), static_cast<std::int64_t>(pixels.size()));
  });
}

SetDescription describe(const Dataset& dataset, std::int64_t images) {
  SetDescription set;
  set.images = images;
  set.shape = dataset.shape();
  Digest image_digest, label_digest;
  std::vector<std::int32_t> labels;
  digest_images(dataset, images, image_digest);
  sample(images, sizeof(std::int32_t), [&](std::int64_t first, std::int64_t count) {
    labels.resize(static_cast<std::size_t>(count));
    dataset.read_labels(range(first, count).data(), count, labels.data());
    label_digest.update(labels.data(), count * static_cast<std::int64_t>(sizeof(std::int32_t)));
  });
  set.images_digest = image_digest.hex();
  set.labels_digest = label_digest.hex();
  return set;
}

std::optional<SetChange> compare(const SetDescription& before, const Dataset& now) {
  using Kind = SetChange::Kind;
  if (now.shape() != before.shape)
    return SetChange{Kind::kShape,
                     concat("has images of ", to_string(now.shape()), ", not of ", to_string(before.shape))};
  if (now.size() < before.images)
    return SetChange{Kind::kFewer, concat("has ", now.size(), " images, not ", before.images)};
  const SetDescription same = describe(now, before.images);
  const bool images = same.images_digest == before.images_digest, labels = same.labels_digest == before.labels_digest;
  if (now.size() > before.images) {
    if (images && labels)
      return SetChange{Kind::kAppended,
                       concat("has ", now.size() - before.images, " more images behind its first ", before.images)};
    return SetChange{Kind::kImages, concat("has ", now.size(), " images, not ", before.images, ", and other ones")};
  }
  if (!images) return SetChange{Kind::kImages, concat("has other images, as many as before (", before.images, ")")};
  if (!labels) return SetChange{Kind::kLabels, concat("has the same ", before.images, " images with other labels")};
  return std::nullopt;
}

std::optional<std::size_t> displaced_name(const std::vector<std::string>& names,
                                          const std::vector<std::string>& known) {
  for (std::size_t c = 0; c < names.size(); ++c) {
    if (c < known.size() && known[c] == names[c]) continue;
    if (std::find(known.begin(), known.end(), names[c]) != known.end()) return c;
  }
  return std::nullopt;
}

std::string doubtful_labels(const Dataset& dataset) {
  constexpr std::int64_t kMostClasses = 1 << 16, kMostLabels = 1 << 24;
  const std::int64_t classes = dataset.num_classes();
  if (classes < 3 || classes > kMostClasses || dataset.size() > kMostLabels) return "";
  if (dataset.size() < 10 * classes) return "";  // one may be missing by chance
  std::vector<std::int32_t> labels(static_cast<std::size_t>(dataset.size()));
  dataset.read_labels(range(0, dataset.size()).data(), dataset.size(), labels.data());
  std::vector<bool> occurs(static_cast<std::size_t>(classes), false);
  for (const std::int32_t label : labels) occurs[static_cast<std::size_t>(label)] = true;
  if (occurs.front() || std::count(occurs.begin(), occurs.end(), true) != classes - 1) return "";
  return concat("no image has the label 0, and each of 1 to ", classes - 1,
                " occurs: labels count from 0; if these count from 1, subtract 1 from them");
}

}  // namespace sluice
