// Which weights of a convolution may differ from zero, by blocks of channels: products with the others are left out.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>

namespace sluice {

/// For each block of 16 channels of a result, a bit for each block of the source's.
class BlockMask {
 public:
  static constexpr std::int64_t kBlock = 16, kMostBlocks = 32;  ///< on either side

  /// All of them.
  BlockMask() { sources_.fill(~std::uint32_t{0}); }
  static BlockMask none() {
    BlockMask mask;
    mask.sources_.fill(0);
    return mask;
  }
  void set(std::int64_t dst_block, std::int64_t src_block) {
    sources_[static_cast<std::size_t>(dst_block)] |= std::uint32_t{1} << src_block;
  }
  bool has(std::int64_t dst_block, std::int64_t src_block) const { return (sources(dst_block) >> src_block & 1) != 0; }
  std::uint32_t sources(std::int64_t dst_block) const {
    assert(dst_block < kMostBlocks);
    return sources_[static_cast<std::size_t>(dst_block)];
  }
  bool is_all() const { return sources_ == BlockMask().sources_; }
  /// With source and result in each other's place.
  BlockMask transposed() const {
    BlockMask mask = none();
    for (std::int64_t d = 0; d < kMostBlocks; ++d) {
      for (std::int64_t s = 0; s < kMostBlocks; ++s) {
        if (has(d, s)) mask.set(s, d);
      }
    }
    return mask;
  }

 private:
  std::array<std::uint32_t, kMostBlocks> sources_;
};

}  // namespace sluice
