// Memory that a process shares with its reader.
#pragma once

#include <cstdint>
#include <memory>

namespace sluice {

/// Made empty, so that a reader can be started with its descriptor, and given its size later.
class SharedMemory {
 public:
  /// Throws Error(kEnvironment).
  SharedMemory();
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  int descriptor() const { return descriptor_; }
  /// Once. The size is then fixed for both sides, and the memory is zero. Throws Error(kEnvironment).
  void resize(std::int64_t bytes);
  /// Takes pages for [first, first + bytes) now, so that the reader meets none that is missing. No more than a hint.
  void reserve(std::int64_t first, std::int64_t bytes) const;
  /// Lives as long as somebody holds it.
  const std::shared_ptr<std::uint8_t>& data() const { return data_; }

  /// The reader's side: maps what the descriptor names. Throws Error(kEnvironment).
  static std::shared_ptr<std::uint8_t> map(int descriptor, std::int64_t bytes);

 private:
  int descriptor_;
  std::shared_ptr<std::uint8_t> data_;
};

}  // namespace sluice
