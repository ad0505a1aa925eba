// Products of pixels in int8 with filters of one pixel, for one instruction set.
#include "layers/kernels/byte_sums.hpp"
#include "layers/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {
namespace {

constexpr int kRows = 4, kVectors = 2;  // at a time: sums fill the registers but for those of the operands
constexpr std::int64_t kBlock = kVectors * kNativeLanes;

template <class T>
void multiply(const ByteRows& rows, const ByteWeights& w, const ByteEnding& e, std::int64_t first, std::int64_t outputs,
              T* dst) {
  static_assert(kVectors == 2);
  const Ending<T> endings[kVectors] = {{e, first, 0, outputs, dst}, {e, first, 1, outputs, dst}};
  multiply_all<kRows>(rows, w, kBlock, endings);
}

}  // namespace

extern const ByteProducts byte_products = {kBlock, multiply<float>, multiply<std::uint8_t>};

}  // namespace sluice::SLUICE_ISA
