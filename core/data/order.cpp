#include "core/data/order.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "core/base/error.hpp"

namespace sluice {

namespace {

std::vector<std::vector<std::int64_t>> images_by_class(const Dataset& dataset) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(dataset.size()));
  std::iota(all.begin(), all.end(), 0);
  std::vector<std::int32_t> labels(all.size());
  dataset.read_labels(all.data(), dataset.size(), labels.data());
  std::vector<std::vector<std::int64_t>> classes(static_cast<std::size_t>(dataset.num_classes()));
  for (const std::int64_t i : all) classes[static_cast<std::size_t>(labels[static_cast<std::size_t>(i)])].push_back(i);
  classes.erase(std::remove_if(classes.begin(), classes.end(), [](const auto& images) { return images.empty(); }),
                classes.end());
  return classes;
}

/// The group of each of `images` images; nothing where there are none.
std::vector<std::uint32_t> images_by_group(const std::vector<std::int64_t>& starts, std::size_t images) {
  std::vector<std::uint32_t> groups;
  if (starts.empty()) return groups;
  groups.reserve(images);
  for (std::uint32_t group = 0; group < starts.size(); ++group) {
    const bool last = group + 1 == starts.size();
    groups.resize(last ? images : static_cast<std::size_t>(starts[group + 1]), group);
  }
  return groups;
}

/// A stream of random numbers is finite; each serves this many draws, far fewer than it has.
constexpr std::uint64_t kDrawsPerStream = 1 << 20;

}  // namespace

Shuffler::Shuffler(std::uint64_t seed, Purpose purpose, std::uint64_t epoch)
    : seed_(seed), purpose_(purpose), epoch_(epoch), random_(seed, purpose, epoch, 0) {}

std::uint64_t Shuffler::below(std::uint64_t bound) {
  if (++draws_ % kDrawsPerStream == 0) {
    random_ = Random(seed_, purpose_, epoch_, static_cast<std::uint32_t>(draws_ / kDrawsPerStream));
  }
  return random_.below(bound);
}

void Shuffler::shuffle(std::int64_t* values, std::int64_t count) {
  for (std::int64_t i = count - 1; i > 0; --i) {
    std::swap(values[i], values[below(static_cast<std::uint64_t>(i) + 1)]);
  }
}

EpochOrder::EpochOrder(const Dataset& dataset, bool shuffle, std::uint64_t seed, bool balance)
    : seed_(seed),
      shuffle_(shuffle),
      groups_(shuffle ? dataset.groups() : ReadGroups{}),
      indices_(static_cast<std::size_t>(dataset.size())),
      group_order_(groups_.starts.size()),
      group_of_(images_by_group(groups_.starts, indices_.size())),
      place_in_window_(groups_.starts.size()) {
  std::iota(indices_.begin(), indices_.end(), 0);
  if (!balance || !shuffle) return;
  if (!groups_.starts.empty())
    throw Error(ExitCode::kData, concat("[data] balance: ", dataset.name(),
                                        " is read in pieces, expected one that fits "
                                        "into memory; raise hdf5_memory_mib, or leave balance off"));
  classes_ = images_by_class(dataset);
  before_.resize(indices_.size());
}

void EpochOrder::set_epoch(std::int64_t epoch) {
  if (!shuffle_) return;
  Shuffler shuffler(seed_, Purpose::kShuffle, static_cast<std::uint64_t>(epoch));
  if (!group_order_.empty()) return shuffle_groups(shuffler);
  if (!classes_.empty()) return draw_balanced(shuffler);
  std::iota(indices_.begin(), indices_.end(), 0);
  shuffler.shuffle(indices_.data(), static_cast<std::int64_t>(indices_.size()));
}

void EpochOrder::draw_balanced(Shuffler& shuffler) {
  const std::size_t all = indices_.size(), classes = classes_.size();
  std::size_t to = 0;
  for (std::size_t c = 0; c < classes; ++c) {
    std::vector<std::int64_t> images = classes_[c];
    const std::size_t quota = all / classes + (c < all % classes ? 1 : 0);
    for (std::size_t i = 0; i < quota; ++i) {
      if (i % images.size() == 0) shuffler.shuffle(images.data(), static_cast<std::int64_t>(images.size()));
      indices_[to++] = images[i % images.size()];
    }
  }
  shuffler.shuffle(indices_.data(), static_cast<std::int64_t>(all));
  std::vector<std::uint32_t> times(all, 0);
  for (std::size_t i = 0; i < all; ++i) before_[i] = times[static_cast<std::size_t>(indices_[i])]++;
}

void EpochOrder::shuffle_groups(Shuffler& shuffler) {
  const std::size_t groups = group_order_.size();
  std::iota(group_order_.begin(), group_order_.end(), 0);
  shuffler.shuffle(group_order_.data(), static_cast<std::int64_t>(groups));
  const auto window = static_cast<std::size_t>(std::max<std::int64_t>(1, groups_.at_once / 2));
  auto at = indices_.begin();
  for (std::size_t first = 0; first < groups; first += window) {
    const auto begin = at;
    const std::size_t end_of_window = std::min(first + window, groups);
    for (std::size_t i = first; i < end_of_window; ++i) {
      const auto group = static_cast<std::size_t>(group_order_[i]);
      const std::int64_t start = groups_.starts[group];
      const std::int64_t end =
          group + 1 < groups ? groups_.starts[group + 1] : static_cast<std::int64_t>(indices_.size());
      place_in_window_[group] = static_cast<double>(at - begin);
      std::iota(at, at + (end - start), start);
      at += end - start;
    }
    for (std::size_t i = first; i < end_of_window; ++i)
      place_in_window_[static_cast<std::size_t>(group_order_[i])] /= static_cast<double>(at - begin);
    shuffler.shuffle(&*begin, at - begin);
  }
}

void EpochOrder::gather_groups(std::int64_t first, std::int64_t images) {
  if (group_order_.empty()) return;
  const auto in_order = [this](std::int64_t a, std::int64_t b) {
    const std::uint32_t group_a = group_of_[static_cast<std::size_t>(a)],
                        group_b = group_of_[static_cast<std::size_t>(b)];
    return std::tuple(place_in_window_[group_a], group_a, a) < std::tuple(place_in_window_[group_b], group_b, b);
  };
  const auto all = static_cast<std::int64_t>(indices_.size());
  for (std::int64_t begin = first; begin < all; begin += images)
    std::sort(indices_.begin() + begin, indices_.begin() + std::min(begin + images, all), in_order);
}

}  // namespace sluice
