// An HDF5 data set that a reader has open, and the parts of it that lie in memory that both share.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "core/data/hdf5_images.hpp"
#include "core/reader/reader_process.hpp"
#include "core/reader/shared_memory.hpp"

namespace sluice {

/// A file that is open in a reader. Every failure is an Error(kData) that names the file. What is read are units:
/// images of pixels, or bytes of encoded pictures.
class RemoteImages {
 public:
  RemoteImages(const ImagePlace& place, double timeout_seconds);

  ImageSet& set() { return set_; }
  std::int64_t unit_bytes() const { return set_.encoded() ? 1 : set_.shape.count(); }
  std::int64_t units() const { return set_.encoded() ? set_.offsets.back() : set_.size; }

  /// Memory for so many units. Once.
  void share(std::int64_t units);
  /// Takes memory for units that will be asked for next, while the reader is busy.
  void reserve(std::int64_t first, std::int64_t count) const;
  const std::shared_ptr<std::uint8_t>& memory() const { return memory_.data(); }
  /// Asks for units [first, first + count), to be written to memory from the place of unit `at` on. Several may be on
  /// their way.
  void ask(std::int64_t first, std::int64_t count, std::int64_t at);
  /// Waits for the oldest of them.
  void wait();
  /// Shares memory for all units, and reads them. Throws where a stop signal comes.
  void load();

 private:
  template <class Work>
  void safely(Work work) {
    read_safely(file_, ExitCode::kData, work);
  }
  bool sound() const;

  std::string file_;
  SharedMemory memory_;
  ReaderProcess reader_;
  ImageSet set_;
};

/// Units of the largest group, where group g is units [starts[g], starts[g + 1]).
std::int64_t largest_group(const std::vector<std::int64_t>& starts);

/// Groups of units, of which the most recently used are kept. One thread uses it at a time.
class GroupCache {
 public:
  /// Group g is units [starts[g], starts[g + 1]); up to `at_once` groups are kept.
  GroupCache(std::unique_ptr<RemoteImages> file, std::vector<std::int64_t> starts, std::int64_t at_once);

  std::int64_t at_once() const { return at_once_; }
  /// Asks for the groups group_of(0) to group_of(count - 1), as many of them as fit into memory together, so that the
  /// reader is ahead of what is copied. Returns how many of the calls these are.
  template <class GroupOf>
  std::int64_t claim(std::int64_t count, GroupOf group_of) {
    ++run_;
    std::int64_t i = 0;
    for (std::int64_t claimed = 0; i < count; ++i) {
      const std::int64_t group = group_of(i);
      std::int64_t& run = run_of_[static_cast<std::size_t>(group)];
      if (run == run_) continue;
      if (claimed++ == at_once_) break;
      run = run_;
      claim_group(group);
    }
    return i;
  }
  /// The bytes of a group that was claimed last.
  const std::uint8_t* fetch(std::int64_t group);

 private:
  struct Cached {
    std::int64_t group;
    std::int64_t slot;  // of the shared memory
    bool there;         // or asked for
  };
  using Cache = std::list<Cached>;

  void claim_group(std::int64_t group);
  void take_answer();
  void abandon();

  const std::unique_ptr<RemoteImages> file_;
  const std::vector<std::int64_t> starts_;
  const std::int64_t slot_units_, at_once_;
  Cache cache_;                         // most recently used first
  std::vector<Cache::iterator> place_;  // of each group in the cache; its end where it is not there
  std::list<Cache::iterator> asked_;    // in order
  std::vector<std::int64_t> run_of_;    // the last run that each group was claimed for
  std::int64_t run_ = 0;
};

}  // namespace sluice
