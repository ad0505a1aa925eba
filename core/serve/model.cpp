#include "core/serve/model.hpp"

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
  classes_ = network.nodes()[static_cast<std::size_t>(network.output_node())].declared.dst.count();
  if (normalization_.mean.empty()) {  // a checkpoint of weights that came from elsewhere
    normalization_.mean.assign(static_cast<std::size_t>(image_.channels), 0.0);
    normalization_.std.assign(static_cast<std::size_t>(image_.channels), 1.0);
  }
}

std::shared_ptr<const Model> Model::load(const std::string& path, const Registry& registry,
                                         const std::vector<std::string>& overrides) {
  const Checkpoint checkpoint = sluice::load(path);
  Experiment experiment(Config::parse(checkpoint.config, checkpoint.file, overrides), registry);
  restore_weights(checkpoint, *experiment.network);
  return std::shared_ptr<const Model>(new Model(std::move(experiment), checkpoint));
}

}  // namespace sluice
