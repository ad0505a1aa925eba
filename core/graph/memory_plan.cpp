#include "core/graph/memory_plan.hpp"

#include <algorithm>
#include <numeric>

#include "core/base/buffer.hpp"

namespace sluice {

int MemoryPlan::add(std::int64_t bytes, int first, int last) {
  requests_.push_back({align_up(bytes), first, last});
  return static_cast<int>(requests_.size()) - 1;
}

void MemoryPlan::extend(int index, int time) {
  Request& request = requests_[static_cast<std::size_t>(index)];
  request.first = std::min(request.first, time);
  request.last = std::max(request.last, time);
}

std::int64_t MemoryPlan::lowest_free_offset(const Request& request, const std::vector<const Request*>& placed) const {
  std::int64_t offset = 0;
  for (const Request* other : placed) {  // in order of offsets
    const bool together = request.first <= other->last && other->first <= request.last;
    if (together && offset < other->offset + other->bytes && other->offset < offset + request.bytes) {
      offset = other->offset + other->bytes;
    }
  }
  return offset;
}

void MemoryPlan::place() {
  std::vector<std::size_t> order(requests_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return requests_[a].bytes > requests_[b].bytes; });
  std::vector<const Request*> placed;
  for (std::size_t i : order) {
    Request& request = requests_[i];
    request.offset = lowest_free_offset(request, placed);
    total_bytes_ = std::max(total_bytes_, request.offset + request.bytes);
    const auto at = std::upper_bound(placed.begin(), placed.end(), &request,
                                     [](const Request* a, const Request* b) { return a->offset < b->offset; });
    placed.insert(at, &request);
  }
}

}  // namespace sluice
