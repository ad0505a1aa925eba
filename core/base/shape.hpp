// Logical tensor shapes: N x C x H x W for activations, O x I x KH x KW for weights, shorter for the rest.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace sluice {

/// Axes of an activation.
enum Axis : std::size_t { kN = 0, kC = 1, kH = 2, kW = 3 };

/// Sizes of a tensor's dimensions; no dimension at all is a scalar.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : dims_(dims) {}
  explicit Shape(std::vector<std::int64_t> dims) : dims_(std::move(dims)) {}

  std::size_t rank() const { return dims_.size(); }
  std::int64_t operator[](std::size_t axis) const { return dims_[axis]; }
  std::int64_t& operator[](std::size_t axis) { return dims_[axis]; }
  const std::vector<std::int64_t>& dims() const { return dims_; }
  /// Number of elements.
  std::int64_t count() const;
  bool operator==(const Shape& other) const { return dims_ == other.dims_; }
  bool operator!=(const Shape& other) const { return dims_ != other.dims_; }

 private:
  std::vector<std::int64_t> dims_;
};

/// "16x3x3x3"; "scalar" for no dimension.
std::string to_string(const Shape& shape);

}  // namespace sluice
