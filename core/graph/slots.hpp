// The memory that operations work in, by handle: an operation books slots when it is made and fetches them in its
// calls. Sizes and places are known here alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/buffer.hpp"
#include "core/graph/tensor.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define SLUICE_RED_ZONES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLUICE_RED_ZONES 1
#endif
#endif
#ifndef SLUICE_RED_ZONES
#define SLUICE_RED_ZONES 0
#endif

namespace sluice {

enum class Lifetime {
  kSaved,   ///< from forward to the same step's backward
  kKept,    ///< as long as the executor: weights in a kernel's layout, constants
  kScratch  ///< one call of refresh, forward or backward; all operations share it
};

/// Memory for `count` elements that was booked. Memory::operator[] gives its address, aligned to Buffer::kAlignment;
/// nullptr of a slot that was not booked.
template <class T>
class Slot {
 public:
  Slot() = default;
  std::int64_t count() const { return count_; }
  std::int64_t bytes() const { return count_ * static_cast<std::int64_t>(sizeof(T)); }

 private:
  friend class SlotBook;
  friend class Scratch;
  friend class Memory;
  Slot(Lifetime lifetime, std::int64_t place, std::int64_t count) : lifetime_(lifetime), place_(place), count_(count) {}

  static constexpr std::int64_t kNotBooked = -1;
  Lifetime lifetime_ = Lifetime::kScratch;
  std::int64_t place_ = kNotBooked;  ///< bytes from the start; of saved memory its number
  std::int64_t count_ = 0;
};

/// A slot for a tensor.
struct BookedTensor {
  TensorDesc desc;
  Slot<std::byte> memory;
};

class SlotBook;

/// Equal blocks of scratch memory, one for each piece of work that may run beside others.
struct Blocks {
  Slot<std::byte> memory;
  std::int64_t stride = 0;
};

/// Books scratch memory of one call, one slot behind the other. A copy goes on from where the original stands: what is
/// booked with the one overlaps what is booked with the other, so they serve one after the other. Whoever gets one by
/// value may book as much as it likes behind its caller's slots.
class Scratch {
 public:
  explicit Scratch(SlotBook& book) : book_(&book) {}

  template <class T>
  Slot<T> book(std::int64_t count) {
    return {Lifetime::kScratch, take(count * static_cast<std::int64_t>(sizeof(T))), count};
  }
  BookedTensor book(const TensorDesc& desc) { return {desc, book<std::byte>(desc.bytes())}; }
  /// `one` has booked the scratch memory of one block.
  Blocks blocks(const SlotBook& one, std::int64_t count);

 private:
  std::int64_t take(std::int64_t bytes);

  SlotBook* book_;
  std::int64_t place_ = 0;
};

/// The scratch memory of an operation's three calls.
struct Frames {
  Scratch refresh, forward, backward;
};

/// All that an operation has booked. It must stay where it is while scratch memory is booked in it.
class SlotBook {
 public:
  template <class T>
  Slot<T> saved(std::int64_t count) {
    return {Lifetime::kSaved, add_saved(count * static_cast<std::int64_t>(sizeof(T))), count};
  }
  BookedTensor saved(const TensorDesc& desc) { return {desc, saved<std::byte>(desc.bytes())}; }
  template <class T>
  Slot<T> kept(std::int64_t count) {
    return {Lifetime::kKept, add_kept(count * static_cast<std::int64_t>(sizeof(T))), count};
  }
  /// Scratch memory of a call, from its start on.
  Scratch scratch() { return Scratch(*this); }
  Frames frames() { return {scratch(), scratch(), scratch()}; }

  /// Of each saved slot, in the order of booking; and of all kept and all scratch memory.
  const std::vector<std::int64_t>& saved_bytes() const { return saved_bytes_; }
  std::int64_t kept_bytes() const { return kept_bytes_; }
  std::int64_t scratch_bytes() const { return scratch_bytes_; }
  /// What saved and kept slots hold, without what lies between them.
  std::int64_t used_bytes() const { return used_bytes_; }

 private:
  friend class Scratch;
  std::int64_t add_saved(std::int64_t bytes);
  std::int64_t add_kept(std::int64_t bytes);

  std::vector<std::int64_t> saved_bytes_;
  std::int64_t kept_bytes_ = 0, scratch_bytes_ = 0, used_bytes_ = 0;
};

/// The memory that a book's slots lie in. A view; copying it copies no data.
class Memory {
 public:
  Memory() = default;
  /// `kept` and `scratch`: as many bytes as the book says; `saved`: the place of each saved slot. All aligned.
  Memory(std::byte* kept, std::byte* scratch, std::byte* const* saved)
      : kept_(kept), scratch_(scratch), saved_(saved) {}

  template <class T>
  T* operator[](const Slot<T>& slot) const {
    if (slot.place_ == Slot<T>::kNotBooked) return nullptr;
    return reinterpret_cast<T*>(fetch(slot.lifetime_, slot.place_, slot.bytes()));
  }
  Tensor operator[](const BookedTensor& slot) const { return {slot.desc, (*this)[slot.memory]}; }
  /// The memory of one block: of its book's scratch slots alone.
  Memory block(const Blocks& blocks, std::int64_t index) const;

 private:
  friend class RedZones;
  std::byte* fetch(Lifetime lifetime, std::int64_t place, std::int64_t bytes) const {
    std::byte* const at = lifetime == Lifetime::kScratch ? scratch_ + place
                          : lifetime == Lifetime::kKept  ? kept_ + place
                                                         : saved_[place];
    if (SLUICE_RED_ZONES) allow(at, bytes);
    return at;
  }
  static void allow(std::byte* at, std::int64_t bytes);

  std::byte *kept_ = nullptr, *scratch_ = nullptr;
  std::byte* const* saved_ = nullptr;
};

/// While it lives, an operation may touch no memory of its book but the slots it has fetched. With AddressSanitizer;
/// else it does nothing.
class RedZones {
 public:
#if SLUICE_RED_ZONES
  RedZones(const SlotBook& book, const Memory& memory);
  ~RedZones();
#else
  RedZones(const SlotBook&, const Memory&) {}
#endif
  RedZones(const RedZones&) = delete;
  RedZones& operator=(const RedZones&) = delete;

 private:
#if SLUICE_RED_ZONES
  const SlotBook& book_;
  const Memory memory_;
#endif
};

/// Memory for an operation that no executor runs: in tests and tools.
class OwnMemory {
 public:
  explicit OwnMemory(const SlotBook& book);
  Memory memory() const { return {kept_.as<std::byte>(), scratch_.as<std::byte>(), addresses_.data()}; }

 private:
  Buffer kept_, scratch_;
  std::vector<Buffer> saved_;
  std::vector<std::byte*> addresses_;
};

}  // namespace sluice
