// A network as a file of Python: a PyTorch module that people read, train and change.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/pytorch/module_parts.hpp"
#include "core/data/normalization.hpp"

namespace sluice {

/// What the file says beside the classes.
struct TorchModuleFacts {
  Shape image;                 ///< of one
  std::string content_digest;  ///< of the checkpoint
  std::vector<std::string> class_names;
  std::optional<Normalization> normalization;
  bool weights_are_hdf5 = false;  ///< what its load() reads; else safetensors
};

std::string torch_module(const TorchParts& parts, const TorchModuleFacts& facts);

/// The file begins as those of torch_module do.
bool is_torch_module_of_sluice(const std::string& path);

}  // namespace sluice
