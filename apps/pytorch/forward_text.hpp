// The statements of a module's forward().
#pragma once

#include <string>
#include <vector>

#include "apps/pytorch/module_parts.hpp"

namespace sluice {

/// "self.layer1.conv"; what Python or PyTorch's modules could not name so is `self._modules["1"]`. `path` has dots.
std::string torch_attribute(const std::string& path);

/// Of a part that has parts. Its one argument is x.
std::vector<std::string> forward_text(const TorchPart& part);

}  // namespace sluice
