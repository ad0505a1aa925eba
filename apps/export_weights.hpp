// The weights of a checkpoint as data sets under PyTorch's names: sluice-export, and sluice-import --export.
#pragma once

#include <string>

#include "core/config/command_line.hpp"

namespace sluice {

/// Writes those of the checkpoint `input` to what -o names. `program` is the one that is running.
int export_weights_file(const CommandLine& line, const std::string& input, const std::string& program);

}  // namespace sluice
