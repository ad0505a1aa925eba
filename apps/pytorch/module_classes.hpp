// The parts of a network as Python classes.
#pragma once

#include <string>

#include "apps/pytorch/module_parts.hpp"

namespace sluice {

constexpr std::size_t kTorchColumns = 120;  ///< of a line of Python, unless it cannot be broken

/// The definitions that the layers need, then a class for the parts that differ in the arguments of their modules
/// alone, each behind those that it uses. The last one is `Network`.
std::string torch_classes(const TorchParts& parts);

}  // namespace sluice
