// Dropout for one instruction set: Philox 4x32-10 (Salmon et al. 2011) for 16 counters at a time.
#include "core/base/random.hpp"
#include "layers/kernels/partial.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

using namespace simd;

typedef std::uint64_t NativeU64 __attribute__((vector_size(kNativeBytes)));

SLUICE_INLINE I32 load(const std::int32_t* p) {
  I32 r;
  for (int k = 0; k < kParts; ++k) r.part[k] = load_native<NativeI32>(p + k * kNativeLanes);
  return r;
}
// 0, 1, 2, ...
SLUICE_INLINE I32 lane_numbers() {
  const std::int32_t numbers[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load(numbers);
}
// 1, 2, 4, ...
SLUICE_INLINE I32 bit_of_each_lane() {
  std::int32_t bits[kLanes];
  for (int i = 0; i < kLanes; ++i) bits[i] = 1 << i;
  return load(bits);
}

// The 64-bit products of the lower halves.
SLUICE_INLINE NativeU64 multiply_low(NativeU64 a, std::uint64_t factor) {
  const NativeU64 b = factor - NativeU64{};
#if defined(__AVX512F__)
  constexpr __mmask8 kEvery = 0xff;
  return reinterpret_cast<NativeU64>(
      _mm512_maskz_mul_epu32(kEvery, reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__)
  return reinterpret_cast<NativeU64>(_mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__SSE2__)
  return reinterpret_cast<NativeU64>(_mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  return (a & 0xffffffffU) * b;
#endif
}

struct Product {
  U32 high, low;
};

SLUICE_INLINE Product multiply(U32 x, std::uint64_t factor) {
  constexpr std::uint64_t kLow = 0xffffffffU;
  Product r;
  for (int k = 0; k < kParts; ++k) {
    const NativeU64 pairs = reinterpret_cast<NativeU64>(x.part[k]);
    const NativeU64 even = multiply_low(pairs, factor), odd = multiply_low(pairs >> 32, factor);
    r.high.part[k] = reinterpret_cast<NativeU32>((even >> 32) | (odd & ~kLow));
    r.low.part[k] = reinterpret_cast<NativeU32>((even & kLow) | (odd << 32));
  }
  return r;
}

/// The four words of 16 consecutive blocks, as core/base/random.cpp counts them.
struct Words {
  U32 word[4];
};

SLUICE_INLINE Words philox(const DropoutStream& stream, std::uint32_t block) {
  U32 c0 = bits_as<U32>(lane_numbers()) + set(block | static_cast<std::uint32_t>(Purpose::kDropout) << 24);
  U32 c1 = set(stream.layer);
  U32 c2 = set(static_cast<std::uint32_t>(stream.step)), c3 = set(static_cast<std::uint32_t>(stream.step >> 32));
  auto k0 = static_cast<std::uint32_t>(stream.seed), k1 = static_cast<std::uint32_t>(stream.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const Product a = multiply(c0, 0xD2511F53U), b = multiply(c2, 0xCD9E8D57U);
    c0 = b.high ^ c1 ^ set(k0);
    c1 = b.low;
    c2 = a.high ^ c3 ^ set(k1);
    c3 = a.low;
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return {{c0, c1, c2, c3}};
}

void draw(const DropoutStream& stream, std::int64_t begin, std::int64_t end, std::uint8_t* bits) {
  for (std::int64_t group = begin; group < end; ++group) {
    const Words words = philox(stream, static_cast<std::uint32_t>(group * kLanes));
    const I32 threshold = set(stream.threshold);
    I32 kept{};
    for (int w = 0; w < 4; ++w) {
      const I32 low = bits_as<I32>(words.word[w] & set(0xffffU)), high = bits_as<I32>(words.word[w] >> 16);
      kept |= ((low - threshold) >> 31) & set(1 << 2 * w);  // the sign of the difference as a mask
      kept |= ((high - threshold) >> 31) & set(2 << 2 * w);
    }
    store_index(bits + (group - begin) * kLanes, kept);
  }
}

template <bool kWhole, class T>
SLUICE_INLINE void apply_to(const std::uint8_t* bits, I32 lane_bits, F32 scale, const T* src, T* dst, int lanes) {
  const I32 own = set(bits[0] | bits[1] << 8) & lane_bits;
  const F32 x = get<kWhole>(src, lanes) * scale;
  put<kWhole>(dst, if_equal(own, I32{}, F32{}, x), lanes);
}

template <class T>
void apply(std::int64_t n, const std::uint8_t* bits, std::int64_t stride, float scale, const T* src, T* dst) {
  const F32 factor = set(scale);
  const I32 lane_bits = bit_of_each_lane();
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes, bits += stride)
    apply_to<true>(bits, lane_bits, factor, src + i, dst + i, kLanes);
  if (i < n) apply_to<false>(bits, lane_bits, factor, src + i, dst + i, static_cast<int>(n - i));
}

}  // namespace

extern const DropoutBits dropout_bits = {draw};
extern const DropoutKernels<float> dropout_f32 = {apply<float>};
extern const DropoutKernels<BFloat16> dropout_bf16 = {apply<BFloat16>};

}  // namespace sluice::SLUICE_ISA
