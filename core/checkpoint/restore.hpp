// Puts the tensors of a checkpoint where a network or an optimiser keeps them, or says everything that does not fit.
#pragma once

#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"

namespace sluice {

class StoredCheckpoint;

/// Memory for one tensor: `shape.count()` floats, row-major, logical layout.
struct TensorSlot {
  std::string path;  ///< below the prefix given to `restore`: "conv1/weight"
  Shape shape;
  float* data = nullptr;
};

struct RestoreReport {
  std::vector<std::string> restored, missing,
      extra;  ///< full paths; missing: a slot that the checkpoint has no tensor for
};

/// Copies the tensor "<prefix>/<slot.path>" of the checkpoint into each slot; an empty prefix means that slots have
/// full paths. Shapes must be equal. Nothing is copied unless all is well: otherwise throws one Error(kCheckpoint) with
/// a line for each tensor that is missing, extra (below the prefix, without a slot), misshapen (with both shapes) or
/// holds NaN or Inf. With `strict` off, missing and extra tensors are left alone and only reported.
RestoreReport restore(const Checkpoint& checkpoint, const std::vector<TensorSlot>& slots, const std::string& prefix,
                      bool strict = true);
/// The same from a file, one tensor after the other. What stands in the slots after an error is not said.
RestoreReport restore(StoredCheckpoint& stored, const std::vector<TensorSlot>& slots, const std::string& prefix,
                      bool strict = true);

}  // namespace sluice
