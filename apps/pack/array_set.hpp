// Data sets that come as arrays of pixels: CIFAR's Python version, MNIST and its relatives, STL-10, SVHN,
// NumPy's npz files.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/pack/source.hpp"

namespace sluice {

/// Images of one file.
struct ArrayPart {
  std::string name;
  Split split = Split::kTrain;
  ImageShape shape;                  ///< of 1 or 3 channels
  std::vector<std::uint8_t> pixels;  ///< N x height x width x channels
  std::vector<std::int32_t> labels;  ///< N
};

struct ArraySet {
  std::vector<ArrayPart> parts;          ///< all of one size
  std::vector<std::string> class_names;  ///< or none
};

// The kinds that open_array_source knows. Each throws Error(kData) where the file is damaged, and returns nothing where
// the path is of another.
std::optional<ArraySet> read_cifar_python(const std::string& folder);
std::optional<ArraySet> read_idx_folder(const std::string& folder);
std::optional<ArraySet> read_stl10(const std::string& folder);
std::optional<ArraySet> read_svhn(const std::string& path);
std::optional<ArraySet> read_npz(const std::string& path);

/// Exchanges rows and columns of an image of height x width pixels; each: bytes of a pixel.
void transpose(const std::uint8_t* from, std::int64_t height, std::int64_t width, std::int64_t each, std::uint8_t* to);

}  // namespace sluice
