#include "core/serve/model.hpp"

#include <cmath>

#include "core/base/error.hpp"
#include "core/train/training_checkpoint.hpp"

namespace sluice {

Model::Model(Experiment experiment, const Checkpoint& checkpoint)
    : experiment_(std::move(experiment)),
      class_names_(checkpoint.class_names),
      normalization_{checkpoint.mean, checkpoint.std} {
  kernels_.assign(checkpoint.plan.begin(), checkpoint.plan.end());
  const Network& network = *experiment_.network;
  const Shape image = network.input_shape(1);
  image_ = {image[kC], image[kH], image[kW]};
  classes_ = network.classes();
  for (auto c = static_cast<std::int64_t>(class_names_.size()); c < classes_; ++c)
    class_names_.push_back(std::to_string(c));
  if (const auto given = given_normalization(experiment_.data, image_.channels)) normalization_ = *given;
  check_normalization(checkpoint.file);
}

void Model::check_normalization(const std::string& file) const {
  const std::vector<double>&mean = normalization_.mean, &std = normalization_.std;
  const auto refuse = [&](const char* why) { throw Error(ExitCode::kCheckpoint, concat(file, ": ", why)); };
  if (mean.empty())
    refuse(
        "has no normalisation of images, and its configuration measures one; set data.mean and data.std, or deploy it "
        "with sluice-deploy");
  const auto channels = static_cast<std::size_t>(image_.channels);
  if (mean.size() != channels || std.size() != channels)
    refuse("/normalisation: has not one mean and one std for each channel of an image; set data.mean and data.std");
  for (std::size_t c = 0; c < channels; ++c) {
    if (!std::isfinite(mean[c]) || !std::isfinite(std[c]) || std[c] <= 0)
      refuse("/normalisation: expected finite numbers, std above 0; set data.mean and data.std");
  }
}

std::shared_ptr<const Model> Model::load(const std::string& path, const Registry& registry,
                                         const std::vector<std::string>& overrides) {
  const Checkpoint checkpoint = sluice::load(path);
  Experiment experiment = trained_experiment(checkpoint, registry, overrides);
  restore_weights(checkpoint, *experiment.network);
  return std::shared_ptr<const Model>(new Model(std::move(experiment), checkpoint));
}

}  // namespace sluice
