// Numbers by channel that an operation keeps: all of them in one slot, by name.
#pragma once

#include "core/graph/slots.hpp"

namespace sluice {

/// `Row` is an enumeration whose last value, kRows, is their number. Each row has whole groups of 16 channels.
template <class Row>
class ChannelRows {
 public:
  ChannelRows() = default;
  ChannelRows(SlotBook& book, std::int64_t channels)
      : padded_((channels + 15) / 16 * 16), numbers_(book.kept<float>(Row::kRows * padded_)) {}

  std::int64_t padded() const { return padded_; }
  float* operator()(const Memory& memory, Row row) const { return memory[numbers_] + row * padded_; }

 private:
  std::int64_t padded_ = 0;
  Slot<float> numbers_;
};

}  // namespace sluice
