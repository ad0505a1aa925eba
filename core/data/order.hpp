// The order of an epoch's samples.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/random.hpp"
#include "core/data/dataset.hpp"

namespace sluice {

/// Fisher-Yates shuffles that depend on seed, purpose and epoch alone.
class Shuffler {
 public:
  Shuffler(std::uint64_t seed, Purpose purpose, std::uint64_t epoch);
  void shuffle(std::int64_t* values, std::int64_t count);

 private:
  std::uint64_t below(std::uint64_t bound);

  std::uint64_t seed_;
  Purpose purpose_;
  std::uint64_t epoch_;
  std::uint64_t draws_ = 0;
  Random random_;
};

/// Every sample once: in the data set's order, or shuffled anew for each epoch. A set that is read in groups (HDF5
/// chunks) is shuffled in two steps: the order of the groups, then the samples of as many successive groups as half of
/// the memory for groups holds, so that each group is read about once in an epoch while two such windows are in use.
/// Balanced, an epoch is as long, but has images of each class (of which there are any) equally often, one at most more
/// than another: all images of a class before any of them again.
class EpochOrder {
 public:
  /// Throws Error(kData) where a set that is read in groups is to be balanced.
  EpochOrder(const Dataset& dataset, bool shuffle, std::uint64_t seed, bool balance = false);
  void set_epoch(std::int64_t epoch);
  /// Of a set that is read in groups: within each `images` images from place `first` on, those of a group come to stand
  /// together, and groups as they stand in their window. Ranks that share such a batch then read few groups in common.
  void gather_groups(std::int64_t first, std::int64_t images);
  const std::vector<std::int64_t>& indices() const { return indices_; }
  /// How often the image at a place in the order stood in it before.
  std::uint64_t times_before(std::int64_t place) const {
    return before_.empty() ? 0 : before_[static_cast<std::size_t>(place)];
  }

 private:
  void shuffle_groups(Shuffler& shuffler);
  void draw_balanced(Shuffler& shuffler);

  std::uint64_t seed_;
  bool shuffle_;
  ReadGroups groups_;
  std::vector<std::int64_t> indices_;
  std::vector<std::int64_t> group_order_;
  std::vector<std::uint32_t> group_of_;             ///< of each image
  std::vector<double> place_in_window_;             ///< of each group, from 0 to 1
  std::vector<std::vector<std::int64_t>> classes_;  ///< the images of each that has any; balanced only
  std::vector<std::uint32_t> before_;
};

}  // namespace sluice
