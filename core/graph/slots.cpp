#include "core/graph/slots.hpp"

#include <algorithm>

#if SLUICE_RED_ZONES
#include <sanitizer/asan_interface.h>
#endif

namespace sluice {
namespace {

/// Bytes behind each slot that nobody may touch.
constexpr std::int64_t kRedZone = SLUICE_RED_ZONES ? Buffer::kAlignment : 0;

std::int64_t with_zone(std::int64_t bytes) {
  return align_up(bytes) + kRedZone;
}

}  // namespace

std::int64_t Scratch::take(std::int64_t bytes) {
  const std::int64_t place = place_;
  place_ += with_zone(bytes);
  book_->scratch_bytes_ = std::max(book_->scratch_bytes_, place_);
  return place;
}

Blocks Scratch::blocks(const SlotBook& one, std::int64_t count) {
  return {book<std::byte>(count * one.scratch_bytes()), one.scratch_bytes()};
}

std::int64_t SlotBook::add_saved(std::int64_t bytes) {
  saved_bytes_.push_back(bytes + kRedZone);
  used_bytes_ += bytes;
  return static_cast<std::int64_t>(saved_bytes_.size()) - 1;
}

std::int64_t SlotBook::add_kept(std::int64_t bytes) {
  const std::int64_t place = kept_bytes_;
  kept_bytes_ += with_zone(bytes);
  used_bytes_ += bytes;
  return place;
}

Memory Memory::block(const Blocks& blocks, std::int64_t index) const {
  return {nullptr, scratch_ + blocks.memory.place_ + index * blocks.stride, nullptr};
}

#if SLUICE_RED_ZONES
void Memory::allow(std::byte* at, std::int64_t bytes) {
  ASAN_UNPOISON_MEMORY_REGION(at, static_cast<std::size_t>(bytes));
}

RedZones::RedZones(const SlotBook& book, const Memory& memory) : book_(book), memory_(memory) {
  ASAN_POISON_MEMORY_REGION(memory_.kept_, static_cast<std::size_t>(book_.kept_bytes()));
  ASAN_POISON_MEMORY_REGION(memory_.scratch_, static_cast<std::size_t>(book_.scratch_bytes()));
  for (std::size_t i = 0; i < book_.saved_bytes().size(); ++i)
    ASAN_POISON_MEMORY_REGION(memory_.saved_[i], static_cast<std::size_t>(book_.saved_bytes()[i]));
}

RedZones::~RedZones() {
  ASAN_UNPOISON_MEMORY_REGION(memory_.kept_, static_cast<std::size_t>(book_.kept_bytes()));
  ASAN_UNPOISON_MEMORY_REGION(memory_.scratch_, static_cast<std::size_t>(book_.scratch_bytes()));
  for (std::size_t i = 0; i < book_.saved_bytes().size(); ++i)
    ASAN_UNPOISON_MEMORY_REGION(memory_.saved_[i], static_cast<std::size_t>(book_.saved_bytes()[i]));
}
#else
void Memory::allow(std::byte*, std::int64_t) {}
#endif

OwnMemory::OwnMemory(const SlotBook& book) : kept_(book.kept_bytes()), scratch_(book.scratch_bytes()) {
  for (std::int64_t bytes : book.saved_bytes()) addresses_.push_back(saved_.emplace_back(bytes).as<std::byte>());
}

}  // namespace sluice
