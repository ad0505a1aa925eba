// A trained network that a program serves: loaded once, shared by any number of sessions.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/data/normalization.hpp"
#include "core/graph/kernel_plan.hpp"
#include "core/train/experiment.hpp"

namespace sluice {

/// Immutable once loaded; all functions may be called from many threads at a time.
class Model {
 public:
  /// Reads a checkpoint of any kind. The registry knows its layer types (register_layers, and register_plugin for
  /// the gates' plug-in and others) and must outlive the model. `overrides` are those of a command line:
  /// "--run.precision=bf16". Throws Error(kCheckpoint) where the file is damaged, its tensors do not fit or
  /// nothing says how images are normalised, Error(kUsage) where a layer type is unknown or an override is wrong.
  static std::shared_ptr<const Model> load(const std::string& path, const Registry& registry,
                                           const std::vector<std::string>& overrides = {});

  const ImageShape& image() const { return image_; }
  std::int64_t classes() const { return classes_; }
  /// One for each class: its name, or its number where the checkpoint has none.
  const std::vector<std::string>& class_names() const { return class_names_; }
  const Normalization& normalization() const { return normalization_; }
  const Experiment& experiment() const { return experiment_; }
  /// The kernels that the file says to run; empty unless it was made by sluice-deploy.
  const std::vector<KernelChoice>& kernels() const { return kernels_; }

 private:
  Model(Experiment experiment, const Checkpoint& checkpoint);

  Experiment experiment_;
  ImageShape image_;
  std::int64_t classes_ = 0;
  std::vector<std::string> class_names_;
  Normalization normalization_;
  std::vector<KernelChoice> kernels_;
};

}  // namespace sluice
