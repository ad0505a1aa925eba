// Places buffers with known lifetimes in one arena, so that those that never live at once share memory.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice {

/// Collects requests, then gives each an offset. Times are step numbers; a request lives from `first` to `last`, both
/// included.
class MemoryPlan {
 public:
  /// Returns the request's index.
  int add(std::int64_t bytes, int first, int last);
  void extend(int index, int time);  ///< the request also lives at `time`
  /// Places every request (largest first, each at the lowest offset that is free for all of its life).
  void place();

  std::int64_t offset(int index) const { return requests_[static_cast<std::size_t>(index)].offset; }
  std::int64_t total_bytes() const { return total_bytes_; }

 private:
  struct Request {
    std::int64_t bytes;
    int first, last;
    std::int64_t offset = 0;
  };
  std::int64_t lowest_free_offset(const Request& request, const std::vector<const Request*>& placed) const;

  std::vector<Request> requests_;
  std::int64_t total_bytes_ = 0;
};

}  // namespace sluice
