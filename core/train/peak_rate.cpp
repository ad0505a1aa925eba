#include "core/train/peak_rate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/buffer.hpp"
#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/graph/onednn.hpp"
#include "core/train/time_budget.hpp"

namespace sluice {

double measure_peak_gflops(Precision precision, int runs) {
  using Type = dnnl::memory::data_type;
  constexpr std::int64_t kSize = 1024;
  constexpr int kWarmup = 3;
  const bool int8 = precision == Precision::kInt8;
  const TensorDesc matrix{{kSize, kSize}, int8 ? DataType::kU8 : activation_type(precision), 0};
  const Type type = onednn::data_type(matrix.type);
  const auto a = dnnl::memory::desc({kSize, kSize}, type, dnnl::memory::format_tag::ab);
  const auto product = onednn::make<dnnl::matmul>(
      onednn::attributes(), a,
      dnnl::memory::desc({kSize, kSize}, int8 ? Type::s8 : type, dnnl::memory::format_tag::any),
      dnnl::memory::desc({kSize, kSize}, int8 ? Type::s32 : Type::f32, dnnl::memory::format_tag::ab));
  onednn::Operation operation(
      product, dnnl::matmul(product),
      {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, product.weights_desc()}, {DNNL_ARG_DST, product.dst_desc()}});
  SlotBook book;
  operation.book(book.scratch());
  const OwnMemory memory(book);
  const Buffer left(matrix.bytes()), right(onednn::bytes(product.weights_desc())), result(kSize * kSize * 4);
  double least = std::numeric_limits<double>::infinity();
  for (int run = -kWarmup; run < runs; ++run) {
    const double start = TimeBudget::steady_seconds();
    operation.run(memory.memory(), {left.data(), right.data(), result.data()});
    if (run >= 0) least = std::min(least, TimeBudget::steady_seconds() - start);
  }
  return 2.0 * kSize * kSize * kSize / least / 1e9;
}

std::vector<std::string> advice_on_precision(double bf16_gflops, double fp32_gflops) {
  if (bf16_gflops >= fp32_gflops) return {};
  return {concat("run.precision = bf16 is slower here than fp32: products run at ", std::llround(bf16_gflops),
                 " GFLOP/s in bf16 and at ", std::llround(fp32_gflops), " in fp32; use run.precision = fp32")};
}

std::vector<std::string> advice_on_precision(Precision precision) {
  if (precision != Precision::kBf16 || !cpu_has_bf16()) return {};
  constexpr int kRuns = 3;
  return advice_on_precision(measure_peak_gflops(precision, kRuns), measure_peak_gflops(Precision::kFp32, kRuns));
}

}  // namespace sluice
