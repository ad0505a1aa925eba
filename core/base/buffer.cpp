#include "core/base/buffer.hpp"

#include <sys/mman.h>

#include <cstring>

#include "core/base/error.hpp"

namespace sluice {

Buffer::Buffer(std::int64_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  constexpr std::int64_t kHugePage = std::int64_t{1} << 21;
  const std::int64_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  const std::int64_t rounded = (bytes + alignment - 1) / alignment * alignment;
  memory_.reset(std::aligned_alloc(static_cast<std::size_t>(alignment), static_cast<std::size_t>(rounded)));
  if (memory_ == nullptr) {
    throw Error(ExitCode::kEnvironment,
                concat("not enough memory for a buffer of ", bytes >> 20, " MiB; use a smaller batch or network"));
  }
  if (alignment == kHugePage) madvise(memory_.get(), static_cast<std::size_t>(rounded), MADV_HUGEPAGE);
  std::memset(memory_.get(), 0, static_cast<std::size_t>(rounded));
}

}  // namespace sluice
