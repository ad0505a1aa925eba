#include "core/serve/model.hpp"

#include "core/base/error.hpp"
#include "core/train/benchmark.hpp"
#include "core/train/known_data.hpp"
#include "core/train/training_checkpoint.hpp"

namespace sluice {

Model::Model(Experiment experiment, const Checkpoint& checkpoint)
    : experiment_(std::move(experiment)), class_names_(checkpoint.class_names) {
  kernels_.assign(checkpoint.plan.begin(), checkpoint.plan.end());
  const Network& network = *experiment_.network;
  const Shape image = network.input_shape(1);
  image_ = {image[kC], image[kH], image[kW]};
  classes_ = network.classes();
  for (auto c = static_cast<std::int64_t>(class_names_.size()); c < classes_; ++c)
    class_names_.push_back(std::to_string(c));
  Warnings ignored;  // the program that gave the overrides knows them
  normalization_ = known_normalization(
      experiment_, checkpoint, image_.channels,
      [&]() -> std::shared_ptr<const Dataset> {
        throw Error(ExitCode::kCheckpoint,
                    concat(checkpoint.file,
                           ": has no normalisation of images, and its configuration "
                           "measures one; set data.mean and data.std, or deploy it with sluice-deploy"));
      },
      ignored);
}

std::shared_ptr<const Model> Model::load(const std::string& path, const Registry& registry,
                                         const std::vector<std::string>& overrides) {
  const Checkpoint checkpoint = sluice::load(path);
  Experiment experiment = trained_experiment(checkpoint, registry, overrides);
  restore_weights(checkpoint, *experiment.network);
  const std::vector<std::string> unmeasured = unmeasured_layers(*experiment.network);
  if (!unmeasured.empty())
    throw Error(ExitCode::kCheckpoint,
                concat(path, ": ", unmeasured_text(unmeasured), "; deploy it with sluice-deploy"));
  return std::shared_ptr<const Model>(new Model(std::move(experiment), checkpoint));
}

}  // namespace sluice
