// What an IDX file holds (MNIST and its relatives): a big-endian header, then values one behind the other.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/data/input_file.hpp"

namespace sluice {

/// Types of values, the third byte of the magic number; the fourth is the number of dimensions.
constexpr std::uint32_t kIdxBytes = 0x08, kIdxIntegers = 0x0c;

struct IdxFile {
  std::uint32_t type = 0;
  std::vector<std::int64_t> dims;
  std::int64_t header_bytes = 0;
  std::vector<std::uint8_t> values;  ///< as they stand in the file
};

/// Reads a file of at least so many dimensions to its end. `check` throws where it does not want the magic number; it
/// must refuse other types than those above. Throws Error(kData) where the file is cut short or too long, or a
/// dimension is 0 or more than it can hold.
IdxFile read_idx(InputFile& file, std::uint32_t least_dimensions,
                 const std::function<void(std::uint32_t magic)>& check);

}  // namespace sluice
