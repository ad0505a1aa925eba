#include "core/model/trained_network.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/checkpoint/stored_checkpoint.hpp"
#include "core/model/network_checkpoint.hpp"

namespace sluice {
namespace {

bool on_command_line(const Config& config, const char* key) {
  const Section* data = config.find("data");
  const Entry* entry = data == nullptr ? nullptr : data->find(key);
  return entry != nullptr && entry->origin == Entry::Origin::kCommandLine;
}

}  // namespace

std::vector<std::string> unmeasured_layers(const Network& network) {
  std::vector<std::string> layers;
  for (const StateBuffer& buffer : network.buffers()) {
    const float* const values = network.buffer_data() + buffer.offset;
    const bool empty = std::all_of(values, values + buffer.shape.count(), [](float value) { return value == 0; });
    if (buffer.measured && empty && (layers.empty() || layers.back() != buffer.layer)) layers.push_back(buffer.layer);
  }
  return layers;
}

std::string unmeasured_text(const std::vector<std::string>& layers) {
  constexpr std::size_t kNamed = 4;
  std::string names;
  for (std::size_t i = 0; i < std::min(kNamed, layers.size()); ++i) names += (i == 0 ? "" : ", ") + layers[i];
  if (layers.size() > kNamed) names += concat(" and ", layers.size() - kNamed, " more");
  return concat(
      names, layers.size() == 1 ? " has" : " have",
      " no scale of what goes in, which training or sluice-deploy measures; without one each batch is rounded "
      "by its own largest number, so that answers depend on the batch");
}

TrainedNetwork::TrainedNetwork(std::shared_ptr<ConfiguredNetwork> configured, const Checkpoint& document)
    : configured_(std::move(configured)),
      file_(document.file),
      class_names_(document.class_names),
      trained_with_{document.mean, document.std},
      kernels_(document.kernels.begin(), document.kernels.end()) {}

TrainedNetwork::TrainedNetwork(const Checkpoint& checkpoint, std::shared_ptr<ConfiguredNetwork> configured)
    : TrainedNetwork(std::move(configured), checkpoint) {
  restore_weights(checkpoint, network());
}

TrainedNetwork::TrainedNetwork(StoredCheckpoint& stored, std::shared_ptr<ConfiguredNetwork> configured)
    : TrainedNetwork(std::move(configured), stored.document()) {
  restore_weights(stored, network());
}

ImageShape TrainedNetwork::image() const {
  const Shape image = network().input_shape(1);
  return {image[kC], image[kH], image[kW]};
}

std::string TrainedNetwork::class_name(std::int64_t c) const {
  const auto at = static_cast<std::size_t>(c);
  return at < class_names_.size() ? class_names_[at] : std::to_string(c);
}

Normalization TrainedNetwork::normalization(const std::function<std::shared_ptr<const Dataset>()>& train,
                                            Warnings& warnings) const {
  const std::int64_t channels = image().channels;
  const bool mean = on_command_line(configured_->config, "mean"), std = on_command_line(configured_->config, "std");
  std::optional<Normalization> stored;
  if (!mean || !std) stored = stored_normalization(file_, trained_with_, channels);
  KnownNormalization known;
  if (stored && !mean) known.mean = stored->mean;
  if (stored && !std) known.std = stored->std;
  const Normalization chosen = make_normalization(configured_->data, channels, known, train);
  if (!mean && !std) return chosen;
  if (!trained_with_.mean.empty() && (trained_with_.mean != chosen.mean || trained_with_.std != chosen.std)) {
    warnings.push_back(concat("images are normalised with ", to_string(chosen), " as the command line says; ", file_,
                              " was trained with ", to_string(trained_with_)));
  }
  for (std::string& warning : doubtful(chosen)) warnings.push_back(std::move(warning));
  return chosen;
}

std::unique_ptr<Executor> TrainedNetwork::new_executor(std::int64_t batch) const {
  ExecutorOptions options = configured_->executor_options(Mode::kInference, batch);
  options.kernels = {kernels_.begin(), kernels_.end()};
  auto executor = std::make_unique<Executor>(configured_->network(), options);
  choose_kernels(*executor, kernels_);
  return executor;
}

std::unique_ptr<Executor> TrainedNetwork::make_executor(std::int64_t batch) const {
  auto executor = new_executor(batch);
  executor->refresh();
  return executor;
}

std::unique_ptr<Executor> TrainedNetwork::make_only_executor(std::int64_t batch) {
  auto executor = new_executor(batch);
  executor->refresh_and_give_back();
  return executor;
}

}  // namespace sluice
