// From the spool to an HDF5 data set, and the proof that it reads back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/pack/spool.hpp"

namespace sluice {

/// What the first bytes of a packed file say.
constexpr char kPackedMark[] = "sluice-pack\n";

struct PackedSet {
  const Spool& spool;
  const std::vector<std::string>& class_names;  ///< none: their numbers
  std::int64_t channels;                        ///< of pixels; 0: encoded pictures are stored
};

/// Writes the set to `path`, all or nothing: groups `train` and `test`, each where it has pictures. Throws
/// Error(kEnvironment) where it cannot be written or does not read back.
void write_set(const PackedSet& set, const std::string& path);

}  // namespace sluice
