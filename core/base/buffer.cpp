#include "core/base/buffer.hpp"

#include <sys/mman.h>

#include <cstring>

#include "core/base/error.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kHugePage = std::int64_t{1} << 21;

/// Whole pages of memory that is this process's alone become zeros without being there. Not where they are locked.
bool drop_pages(void* first, std::int64_t bytes) {
  return madvise(first, static_cast<std::size_t>(bytes), MADV_DONTNEED) == 0;
}

}  // namespace

Buffer::Buffer(std::int64_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  const std::int64_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  const std::int64_t rounded = (bytes + alignment - 1) / alignment * alignment;
  memory_.reset(std::aligned_alloc(static_cast<std::size_t>(alignment), static_cast<std::size_t>(rounded)));
  if (memory_ == nullptr) {
    throw Error(ExitCode::kEnvironment,
                concat("not enough memory for a buffer of ", bytes >> 20, " MiB; use a smaller batch or network"));
  }
  if (alignment == kHugePage) {
    madvise(memory_.get(), static_cast<std::size_t>(rounded), MADV_HUGEPAGE);
    if (drop_pages(memory_.get(), rounded)) return;
  }
  std::memset(memory_.get(), 0, static_cast<std::size_t>(rounded));
}

void Buffer::give_back(std::int64_t begin) {
  const auto pages = [](std::int64_t bytes) { return (bytes + kHugePage - 1) / kHugePage; };
  const std::int64_t first = pages(begin) * kHugePage, bytes = pages(bytes_) * kHugePage - first;
  if (bytes_ < kHugePage || bytes <= 0) return;
  if (!drop_pages(at(first), bytes)) std::memset(at(first), 0, static_cast<std::size_t>(bytes));
}

}  // namespace sluice
