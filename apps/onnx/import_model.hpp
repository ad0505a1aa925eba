// A foreign model as a configuration of ours and its weights.
#pragma once

#include <map>
#include <string>

#include "apps/onnx/layer_list.hpp"

namespace sluice {

struct ImportedModel {
  std::string ini;                        ///< a network, ready to be trained
  std::map<std::string, Floats> tensors;  ///< by "layer/name"
};

/// Layers have the names of the model's parts; parts that repeat are blocks.
ImportedModel describe_model(const ForeignModel& model, const LayerList& list);

/// All of it. Throws Error(kCheckpoint) naming the operator that has no counterpart.
ImportedModel import_model(const ForeignModel& model);

}  // namespace sluice
