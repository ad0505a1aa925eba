// A foreign model as a configuration of ours and its weights.
#pragma once

#include <map>
#include <string>

#include "apps/onnx/read_model.hpp"

namespace sluice {

struct ImportedModel {
  std::string ini;                                           ///< a network, ready to be trained
  std::map<std::string, const std::vector<float>*> tensors;  ///< by "layer/name"; of the model, which must outlive it
};

/// One layer for each operator, named after its weights where it has any. Throws Error(kCheckpoint) naming the operator
/// that has no counterpart.
ImportedModel import_model(const ForeignModel& model);

}  // namespace sluice
