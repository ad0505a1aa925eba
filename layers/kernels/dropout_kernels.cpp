// Dropout for one instruction set: Philox 4x32-10 (Salmon et al. 2011) for 16 counters at a time.
#include "core/base/random.hpp"
#include "layers/kernels/partial.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

typedef std::uint64_t U64 __attribute__((vector_size(64)));

struct Product {
  U32 high, low;
};

SLUICE_INLINE Product multiply(U32 x, std::uint64_t factor) {
  constexpr std::uint64_t kLow = 0xffffffffU;
  const U64 pairs = reinterpret_cast<U64>(x);
  const U64 even = (pairs & kLow) * factor, odd = (pairs >> 32) * factor;
  return {reinterpret_cast<U32>((even >> 32) | (odd & ~kLow)), reinterpret_cast<U32>((even & kLow) | (odd << 32))};
}

/// The four words of 16 consecutive blocks, as core/base/random.cpp counts them.
struct Words {
  U32 word[4];
};

SLUICE_INLINE Words philox(const DropoutStream& stream, std::uint32_t block) {
  const U32 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  U32 c0 = lane + (block | static_cast<std::uint32_t>(Purpose::kDropout) << 24);
  U32 c1 = stream.layer - U32{};
  U32 c2 = static_cast<std::uint32_t>(stream.step) - U32{};
  U32 c3 = static_cast<std::uint32_t>(stream.step >> 32) - U32{};
  auto k0 = static_cast<std::uint32_t>(stream.seed), k1 = static_cast<std::uint32_t>(stream.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const Product a = multiply(c0, 0xD2511F53U), b = multiply(c2, 0xCD9E8D57U);
    c0 = b.high ^ c1 ^ k0;
    c1 = b.low;
    c2 = a.high ^ c3 ^ k1;
    c3 = a.low;
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return {{c0, c1, c2, c3}};
}

void draw(const DropoutStream& stream, std::int64_t begin, std::int64_t end, std::uint8_t* bits) {
  for (std::int64_t group = begin; group < end; ++group) {
    const Words words = philox(stream, static_cast<std::uint32_t>(group * kLanes));
    I32 kept{};
    for (int w = 0; w < 4; ++w) {
      const I32 low = reinterpret_cast<I32>(words.word[w] & 0xffffU), high = reinterpret_cast<I32>(words.word[w] >> 16);
      kept |= (low < stream.threshold) & (1 << 2 * w);
      kept |= (high < stream.threshold) & (2 << 2 * w);
    }
    store_index(bits + (group - begin) * kLanes, kept);
  }
}

template <bool kWhole, class T>
SLUICE_INLINE void apply_to(const std::uint8_t* bits, F32 scale, const T* src, T* dst, int lanes) {
  const I32 lane_bits = {1,      1 << 1, 1 << 2,  1 << 3,  1 << 4,  1 << 5,  1 << 6,  1 << 7,
                         1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15};
  const I32 own = (bits[0] | bits[1] << 8) & lane_bits;
  const F32 x = get<kWhole>(src, lanes) * scale;
  put<kWhole>(dst, own != 0 ? x : F32{}, lanes);
}

template <class T>
void apply(std::int64_t n, const std::uint8_t* bits, std::int64_t stride, float scale, const T* src, T* dst) {
  const F32 factor = set(scale);
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes, bits += stride) apply_to<true>(bits, factor, src + i, dst + i, kLanes);
  if (i < n) apply_to<false>(bits, factor, src + i, dst + i, static_cast<int>(n - i));
}

}  // namespace

extern const DropoutBits dropout_bits = {draw};
extern const DropoutKernels<float> dropout_f32 = {apply<float>};
extern const DropoutKernels<BFloat16> dropout_bf16 = {apply<BFloat16>};

}  // namespace sluice::SLUICE_ISA
