// Tensors as layers see them: a logical shape, an element type, a memory layout and a place in memory that the network
// owns.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/shape.hpp"

namespace sluice {

enum class DataType { kF32, kBF16, kS32, kU8, kF64 };

/// Bytes of one element.
std::int64_t size_of(DataType type);
/// "f32", "bf16", "s32", "u8", "f64".
const char* to_string(DataType type);

/// What a tensor looks like in memory. An activation N x C x H x W is stored as [N][C / block][H][W][block]: with block
/// = C that is NHWC, with block = 16 it is oneDNN's nChw16c. Other tensors are plain row-major, block = 0.
struct TensorDesc {
  Shape shape;
  DataType type = DataType::kF32;
  std::int64_t block = 0;
  float scale = 0;  ///< of an activation in int8 (kU8): what one level stands for

  std::int64_t count() const { return shape.count(); }
  std::int64_t bytes() const { return shape.count() * size_of(type); }
  /// Position of an element of an activation.
  std::int64_t offset(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) const {
    const std::int64_t blocks = shape[kC] / block;
    return (((n * blocks + c / block) * shape[kH] + h) * shape[kW] + w) * block + c % block;
  }
  bool operator==(const TensorDesc& other) const {
    return shape == other.shape && type == other.type && block == other.block && scale == other.scale;
  }
};

/// A view; copying it copies no data.
struct Tensor {
  TensorDesc desc;
  void* data = nullptr;

  const Shape& shape() const { return desc.shape; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

/// The memory of an element of an activation that lies at `data`.
void* element(const TensorDesc& desc, void* data, std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w);
const void* element(const TensorDesc& desc, const void* data, std::int64_t n, std::int64_t c, std::int64_t h,
                    std::int64_t w);

/// Copies memory as it stands, where both have as many bytes.
void copy_memory(const Tensor& src, const Tensor& dst);
/// Copies an activation between any two layouts and types of one shape; what comes from int8 goes to fp32.
void copy_activation(const Tensor& src, const Tensor& dst);
/// The same from plain N x C x H x W floats, and back: for tests, predictions and import.
void from_nchw(const float* src, const Tensor& dst);
void to_nchw(const Tensor& src, float* dst);

}  // namespace sluice
