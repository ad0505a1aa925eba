#include "core/data/idx_file.hpp"

#include <algorithm>

#include "core/base/error.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kWord = 4;  // bytes

/// A file that is cut short is reported where it ends, unless its header asks for more memory than this in vain.
constexpr std::int64_t kHarmlessBytes = 256 << 20;

std::uint32_t read_word(InputFile& file, std::int64_t header_bytes) {
  std::uint8_t bytes[kWord] = {};
  file.read(bytes, kWord, header_bytes);
  std::uint32_t word = 0;
  for (const std::uint8_t byte : bytes) word = word << 8 | byte;
  return word;
}

std::int64_t header_bytes(std::uint32_t dimensions) {
  return kWord * (1 + static_cast<std::int64_t>(dimensions));
}

}  // namespace

IdxFile read_idx(InputFile& file, std::uint32_t least_dimensions,
                 const std::function<void(std::uint32_t magic)>& check) {
  const std::uint32_t magic = read_word(file, header_bytes(least_dimensions)), dimensions = magic & 0xff;
  check(magic);
  IdxFile idx{magic >> 8, {}, header_bytes(dimensions), {}};
  const std::int64_t most = std::max(file.largest_size(), kHarmlessBytes);
  std::int64_t total = idx.type == kIdxIntegers ? 4 : 1;
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    const std::int64_t size = read_word(file, idx.header_bytes);
    if (size == 0) file.fail(file.offset() - kWord, concat("expected a size above 0 for dimension ", i, ", got 0"));
    if (size > most / total)
      file.fail(file.offset() - kWord, concat("dimension ", i, " is ", size, ", more than the file can hold"));
    idx.dims.push_back(size);
    total *= size;
  }
  idx.values.resize(static_cast<std::size_t>(total));
  file.read(idx.values.data(), total, idx.header_bytes + total);
  if (!file.at_end()) file.fail(file.offset(), "expected the end of the file, got more bytes");
  return idx;
}

}  // namespace sluice
