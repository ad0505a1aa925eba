// Reads the document out of an open file: shared by `load` and the inspector.
#pragma once

#include <string>

#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/hdf5.hpp"

namespace sluice {

/// Throws Error(kCheckpoint) naming the member that is missing, misshapen or of another type. Without `values` the
/// tensors have names and shapes only. Accuracies are as the file says (per_cent.hpp).
Checkpoint read_checkpoint(const Hdf5File& file, const std::string& name, bool values = true);
/// What `load` and `load_without_values` do, in this process: their reader's part.
Checkpoint read_checkpoint_file(const std::string& path, bool values = true);
/// The same of a file that another program changed: its seal and its digest do not matter.
Checkpoint read_edited_file(const std::string& path);
/// Through a reader, as `load`.
Checkpoint load_edited(const std::string& path);
/// Compares the contents with the digest that the file states. Throws Error(kCheckpoint) where they differ.
void check_content(const Hdf5File& file, const Checkpoint& checkpoint);

}  // namespace sluice
