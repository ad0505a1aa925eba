#include "core/graph/tensor_values.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/bfloat16.hpp"
#include "core/base/parallel.hpp"

namespace sluice {
namespace {

template <class T>
void add_flat(T* sum, const T* term, std::int64_t count) {
  parallel_for(count, 1 << 14, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) narrow(widen(sum[i]) + widen(term[i]), sum[i]);
  });
}

double value(const Tensor& tensor, std::int64_t i) {
  switch (tensor.desc.type) {
    case DataType::kF32:
      return static_cast<double>(tensor.as<const float>()[i]);
    case DataType::kBF16:
      return static_cast<double>(widen(tensor.as<const BFloat16>()[i]));
    case DataType::kS32:
      return static_cast<double>(tensor.as<const std::int32_t>()[i]);
    case DataType::kU8:
      return static_cast<double>(static_cast<float>(tensor.as<const std::uint8_t>()[i]) * tensor.desc.scale);
    case DataType::kF64:
      return tensor.as<const double>()[i];
  }
  return 0;
}

}  // namespace

void add_into(const Tensor& sum, const Tensor& term) {
  if (sum.desc.type == DataType::kBF16)
    return add_flat(sum.as<BFloat16>(), term.as<const BFloat16>(), sum.desc.count());
  add_flat(sum.as<float>(), term.as<const float>(), sum.desc.count());
}

bool all_finite(const Tensor& tensor) {
  for (std::int64_t i = 0; i < tensor.desc.count(); ++i) {
    if (!std::isfinite(value(tensor, i))) return false;
  }
  return true;
}

double largest_value(const Tensor& tensor) {
  double largest = 0;
  for (std::int64_t i = 0; i < tensor.desc.count(); ++i) {
    const double each = value(tensor, i);
    if (!std::isfinite(each)) return std::numeric_limits<double>::quiet_NaN();
    largest = std::max(largest, each);
  }
  return largest;
}

}  // namespace sluice
