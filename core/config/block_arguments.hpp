// The arguments of a block's call, and the values that they are put into.
#pragma once

#include <map>
#include <string>

#include "core/config/block_library.hpp"
#include "core/config/substitute.hpp"

namespace sluice {

/// Values of a block's parameters.
using Arguments = std::map<std::string, Entry>;

class ArgumentReader {
 public:
  explicit ArgumentReader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  /// Reports arguments that the block does not take, and those that it lacks.
  void check(const Section& call, const std::string& name, const Block& block);

  /// Those of a repetition; parameters for the first one alone have their defaults in the others. With kRepetition.
  Arguments read(const Section& call, const Block& block, std::int64_t repetition);

  /// Puts arguments in the place of their names in an entry of `section`.
  void put_in(const Section& section, Entry& entry, const Arguments& arguments);

 private:
  Diagnostics& diagnostics_;
  Growth growth_;
};

}  // namespace sluice
