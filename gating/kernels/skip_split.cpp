// The patch of precision gating, for one instruction set. Compiled without contraction to fused multiply-adds: levels
// are those of layers/kernels/quantize_kernels.hpp to the last bit.
#include "gating/kernels/skip_patch_detail.hpp"
#include "gating/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

/// Rounds a vector of numbers to levels, and remembers whether one was none.
class Splitter {
 public:
  SLUICE_INLINE Splitter(LevelRange range, float step)
      : scale_(broadcast(range.scale)), count_(broadcast(range.count)), kept_(-static_cast<std::int32_t>(step)) {}

  /// Writes the levels without what is below a multiple of the step, and the levels.
  SLUICE_INLINE void put(NativeF32 x, std::uint16_t* base, std::uint16_t* all) {
    const NativeI32 negative = x < NativeF32{};
    const NativeF32 one = broadcast(1.0F), shifter = broadcast(8388608.0F);  // 2^23: floats above it are whole
    NativeF32 share = reinterpret_cast<NativeF32>(reinterpret_cast<NativeI32>(x) & 0x7fffffff) / scale_;
    const NativeI32 none = share != share;
    share = share > one ? one : share;
    share = none ? NativeF32{} : share;
    // Behind the shifter the lowest bits are the number.
    const NativeI32 level = reinterpret_cast<NativeI32>(share * count_ + shifter) & 0x7fffff;
    store_narrowed(base, reinterpret_cast<NativeU32>(((level & kept_) ^ negative) - negative));
    store_narrowed(all, reinterpret_cast<NativeU32>((level ^ negative) - negative));
    nans_ |= none;
  }

  SLUICE_INLINE bool has_nan() const {
    std::int32_t any = 0;
    for (int l = 0; l < kNativeLanes; ++l) any |= nans_[l];
    return any != 0;
  }

 private:
  NativeF32 scale_, count_;
  std::int32_t kept_;
  NativeI32 nans_{};
};

/// Channels of one pixel that fill no vector.
SLUICE_INLINE void put_rest(Splitter& splitter, const float* from, std::int64_t count, std::uint16_t* base,
                            std::uint16_t* all) {
  float padded[kNativeLanes] = {};
  std::uint16_t kept[kNativeLanes], whole[kNativeLanes];
  for (std::int64_t c = 0; c < count; ++c) padded[c] = from[c];
  splitter.put(load_f32(padded), kept, whole);
  for (std::int64_t c = 0; c < count; ++c) {
    base[c] = kept[c];
    all[c] = whole[c];
  }
}

bool split(const SkipShape& s, const SkipTile& t, LevelRange range, float step, const float* src) {
  Splitter splitter(range, step);
  const std::int64_t channels = s.src_channels, whole = channels / kNativeLanes * kNativeLanes;
  const std::int64_t second = 2 * s.src_chunk;  // places from a pixel's base levels to all of them
  const auto copy = [&](const Source<float>& source, std::int64_t pixel, std::int64_t count, std::int32_t* units)
      __attribute__((always_inline)) {
    for (std::int64_t i = 0; i < count; ++i, units += s.pitch) {
      auto* const to = reinterpret_cast<std::uint16_t*>(units);
      for (std::int64_t c = 0; c < whole; c += kNativeLanes)
        splitter.put(load_f32(source.at(c, pixel + i)), to + c, to + second + c);
      if (whole < channels)
        put_rest(splitter, source.at(whole, pixel + i), channels - whole, to + whole, to + second + whole);
      if (channels < second) to[channels] = to[second + channels] = 0;
      for (std::int64_t u = s.units; u < s.pitch; ++u) units[u] = 0;
    }
  };
  fill_patch<std::int32_t>(s, t, src, copy);
  return splitter.has_nan();
}

}  // namespace

extern const SkipSplit skip_split = split;

}  // namespace sluice::SLUICE_ISA
