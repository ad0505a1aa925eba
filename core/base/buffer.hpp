// Aligned, zeroed memory for arenas: large ones ask for huge pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace sluice {

/// Owns `bytes` of memory, aligned to 64 bytes (large ones to 2 MiB) and zeroed; of a large one the system gives the
/// pages that are written. Throws Error(kEnvironment) when there is not enough.
class Buffer {
 public:
  static constexpr std::int64_t kAlignment = 64;

  Buffer() = default;
  explicit Buffer(std::int64_t bytes);

  void* data() const { return memory_.get(); }
  std::int64_t bytes() const { return bytes_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(memory_.get());
  }
  /// `offset` bytes from the start.
  std::byte* at(std::int64_t offset) const { return as<std::byte>() + offset; }

  /// Gives the memory from there to the end back to the system, as far as it is whole pages of 2 MiB: zeros again.
  void give_back(std::int64_t begin);

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> memory_;
  std::int64_t bytes_ = 0;
};

/// The next multiple of Buffer::kAlignment.
constexpr std::int64_t align_up(std::int64_t bytes) {
  return (bytes + Buffer::kAlignment - 1) / Buffer::kAlignment * Buffer::kAlignment;
}

}  // namespace sluice
