// Arrays of doubles in logical order: what references compute on, and how results are compared with them.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/random.hpp"
#include "core/base/shape.hpp"
#include "core/graph/tensor.hpp"

namespace sluice {

struct Array {
  Shape shape;
  std::vector<double> values;  ///< row-major

  Array() = default;
  explicit Array(const Shape& s) : shape(s), values(static_cast<std::size_t>(s.count()), 0.0) {}

  double& operator[](std::int64_t i) { return values[static_cast<std::size_t>(i)]; }
  double operator[](std::int64_t i) const { return values[static_cast<std::size_t>(i)]; }
  /// An element of N x C x H x W or O x I x KH x KW.
  double& at(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) { return (*this)[index(n, c, h, w)]; }
  double at(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) const { return (*this)[index(n, c, h, w)]; }
  std::int64_t count() const { return shape.count(); }

 private:
  std::int64_t index(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) const {
    return ((n * shape[1] + c) * shape[2] + h) * shape[3] + w;
  }
};

/// Any tensor of an executor, in logical order.
Array to_array(const Tensor& tensor);
/// `count` floats, row-major.
Array to_array(const Shape& shape, const float* values);
/// The nearest bfloat16.
double round_to_bf16(double value);
void round_to_bf16(Array& array);

/// Passes when the largest |got - want| is at most `tolerance` times the largest |want| (or `scale`, where that is
/// larger). NaN and different shapes fail; the message has the worst index and both values.
::testing::AssertionResult is_close(const Array& got, const Array& want, double tolerance, double scale = 0);

}  // namespace sluice
