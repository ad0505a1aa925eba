// Ways to one result (OpNeeds::alternatives), as a layer lists them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/graph/op.hpp"

namespace sluice {

struct NamedWay {
  std::string name;
  /// The operation, and its kernel's name; null where this way is not open, and then nothing is booked.
  std::function<std::unique_ptr<Op>(std::string& kernel)> make;
};

/// The way that is wanted (OpRequest::way) alone, if it is open; else all that are, of which the last one runs until
/// another is chosen. One is always open.
std::unique_ptr<Op> make_ways(const std::string& wanted, const std::vector<NamedWay>& ways, OpNeeds& needs);

}  // namespace sluice
