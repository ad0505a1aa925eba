// Weights as a safetensors file: JSON that says where each tensor lies, then the numbers.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/shape.hpp"

namespace sluice {

struct NamedTensor {
  Shape shape;
  const std::vector<float>* values;
};

std::string safetensors(const std::map<std::string, NamedTensor>& tensors);

/// The file begins as those of safetensors() do.
bool is_safetensors_of_sluice(const std::string& path);

}  // namespace sluice
