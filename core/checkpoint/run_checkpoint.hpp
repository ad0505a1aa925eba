// Where the checkpoints of a run lie.
#pragma once

#include <optional>
#include <string>

namespace sluice {

/// The checkpoint that stands for the run in a directory: its weights.h5 or, before there is one, its best one so far;
/// nothing where there is neither.
std::optional<std::string> checkpoint_of_run(const std::string& directory);

/// What to say to someone who gave a directory for a checkpoint: ", such as runs/a/weights.h5" where it is a run, or
/// has runs in it; "" elsewhere.
std::string advice_on_directory(const std::string& directory);

}  // namespace sluice
