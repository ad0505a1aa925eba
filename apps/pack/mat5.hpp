// MATLAB's MAT files of version 5: arrays of numbers by name, packed by zlib or not.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace sluice {

/// A real array in MATLAB's order: the first size varies fastest.
struct MatArray {
  char kind = 'u';  ///< 'u', 'i' or 'f'
  int size = 1;     ///< bytes of a value, little-endian
  std::vector<std::int64_t> shape;
  std::string bytes;

  std::int64_t count() const { return static_cast<std::int64_t>(bytes.size()) / size; }
  double value(std::int64_t i) const;
};

/// The arrays of these names; others are passed over. Throws Error(kData) where the file is damaged or of another kind,
/// where such an array holds no real numbers, and where all of them have more than `most_bytes`. Memory is taken as the
/// bytes come, not as a header claims. `advice`: see InputFile.
std::map<std::string, MatArray> read_mat_file(const std::string& path, const std::string& advice,
                                              const std::set<std::string>& names, std::int64_t most_bytes);

}  // namespace sluice
