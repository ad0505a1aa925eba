// The seal of a checkpoint file: a digest of the whole HDF5 part, appended after HDF5 closed it and checked before HDF5
// opens it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

/// The seal's layout, integers little-endian: magic "SLUICES\n" (8 bytes), version (4), length of the seal (4), length
/// of the HDF5 part (8), XXH3-128 of the HDF5 part (16, most significant byte first), and the last 8 bytes of the
/// XXH3-128 of the 40 bytes before (8). HDF5 ignores bytes behind the end that its own header states.
constexpr std::int64_t kSealBytes = 48;
constexpr std::uint32_t kSealVersion = 1;

/// Appends the seal to a complete HDF5 file in memory.
void append_seal(std::vector<char>& bytes);

struct SealReport {
  enum class State {
    kIntact,  ///< the file is, bit for bit, what Sluice wrote
    kAbsent,  ///< an HDF5 file without a seal: of another program, or rewritten
    kDamaged  ///< truncated, changed, or no HDF5 file at all
  };
  State state = State::kIntact;
  std::string text;  ///< "<path>: what is wrong; what to do", empty when intact
};

/// Reads the file once, without HDF5. Throws Error(kCheckpoint) where it cannot be read at all (missing, a directory).
SealReport check_seal(const std::string& path);

/// The HDF5 part of a sealed file. Throws Error(kCheckpoint) with the report's text when the seal is not intact.
std::vector<char> read_sealed(const std::string& path);

}  // namespace sluice
