// NumPy's npz files: a zip archive of arrays, stored or deflated.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sluice {

/// An array of integers, in C's order.
struct NpyArray {
  char kind = 'u';  ///< 'u' or 'i'
  int size = 1;     ///< bytes of a value, little-endian
  std::vector<std::int64_t> shape;
  std::string bytes;

  std::int64_t count() const;
  /// A value as an integer.
  std::int64_t value(std::int64_t i) const;
};

/// All arrays of the file by name, without ".npy". Throws Error(kData) where the file is damaged, or holds anything but
/// integers in C's order, and where all of it is larger than `most_bytes` unpacked.
std::map<std::string, NpyArray> read_npz_file(const std::string& path, std::int64_t most_bytes);

}  // namespace sluice
