// The configuration of a golden network, from the attributes of its case.
#pragma once

#include <stdexcept>
#include <string>

#include "tests/golden_check/attributes.hpp"

namespace sluice {

/// The registry lacks what the case needs.
class MissingKind : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A residual network for 32x32 images with layers named as in the usual PyTorch code.
std::string network_text(GroupAttributes& attributes, const Registry& registry, std::int64_t classes);

}  // namespace sluice
