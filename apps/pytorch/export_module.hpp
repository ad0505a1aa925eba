// sluice-export --pytorch.
#pragma once

#include "core/config/command_line.hpp"

namespace sluice {

/// Writes the network of CHECKPOINT.h5 to MODEL.py and its weights to WEIGHTS, which are `line`'s arguments.
int export_torch_module(const CommandLine& line);

}  // namespace sluice
