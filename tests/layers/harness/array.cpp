#include "tests/layers/harness/array.hpp"

#include <cmath>

#include "core/base/bfloat16.hpp"
#include "core/base/error.hpp"

namespace sluice {
namespace {

double element(const void* data, DataType type, std::int64_t i) {
  switch (type) {
    case DataType::kF32:
      return static_cast<double>(static_cast<const float*>(data)[i]);
    case DataType::kBF16:
      return static_cast<double>(widen(static_cast<const BFloat16*>(data)[i]));
    case DataType::kS32:
      return static_cast<double>(static_cast<const std::int32_t*>(data)[i]);
    case DataType::kU8:
      return static_cast<double>(static_cast<const std::uint8_t*>(data)[i]);
    case DataType::kF64:
      return static_cast<const double*>(data)[i];
  }
  return 0;
}

std::string coordinates(const Shape& shape, std::int64_t index) {
  std::string text;
  for (std::size_t axis = shape.rank(); axis-- > 0;) {
    text = concat(index % shape[axis], text.empty() ? "" : ", ", text);
    index /= shape[axis];
  }
  return "(" + text + ")";
}

}  // namespace

Array to_array(const Tensor& tensor) {
  const TensorDesc& desc = tensor.desc;
  Array array(desc.shape);
  if (desc.shape.rank() != 4) {
    for (std::int64_t i = 0; i < array.count(); ++i) array[i] = element(tensor.data, desc.type, i);
    return array;
  }
  const Shape& s = desc.shape;
  for (std::int64_t i = 0; i < array.count(); ++i) {
    const std::int64_t w = i % s[kW], h = i / s[kW] % s[kH], c = i / (s[kW] * s[kH]) % s[kC];
    array[i] = element(tensor.data, desc.type, desc.offset(i / (s[kW] * s[kH] * s[kC]), c, h, w));
  }
  return array;
}

Array to_array(const Shape& shape, const float* values) {
  Array array(shape);
  for (std::int64_t i = 0; i < array.count(); ++i) array[i] = static_cast<double>(values[i]);
  return array;
}

double round_to_bf16(double value) {
  BFloat16 rounded{};
  narrow(static_cast<float>(value), rounded);
  return static_cast<double>(widen(rounded));
}

void round_to_bf16(Array& array) {
  for (double& value : array.values) value = round_to_bf16(value);
}

::testing::AssertionResult is_close(const Array& got, const Array& want, double tolerance, double scale) {
  if (got.shape != want.shape) {
    return ::testing::AssertionFailure() << "shape " << to_string(got.shape) << ", expected " << to_string(want.shape);
  }
  for (double value : want.values) {
    if (!std::isfinite(value)) return ::testing::AssertionFailure() << "the reference holds " << value;
    scale = std::max(scale, std::abs(value));
  }
  std::int64_t worst = -1;
  double error = -1;
  for (std::int64_t i = 0; i < got.count(); ++i) {
    const double e = std::abs(got[i] - want[i]);
    if (e <= error) continue;  // also taken by NaN, which then stays the worst
    worst = i;
    error = e;
    if (std::isnan(e)) break;
  }
  if (worst < 0 || error <= tolerance * scale) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "worst at " << coordinates(got.shape, worst) << " of " << to_string(got.shape)
                                       << ": got " << got[worst] << ", expected " << want[worst] << "; error "
                                       << error / scale << " of the largest, allowed " << tolerance;
}

}  // namespace sluice
