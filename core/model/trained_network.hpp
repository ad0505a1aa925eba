// A trained network from a checkpoint, in one piece: serving, teaching, evaluating, deploying and timing one begin
// here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/data/normalization.hpp"
#include "core/graph/kernel_choice.hpp"
#include "core/model/configured_network.hpp"

namespace sluice {

class StoredCheckpoint;

using Warnings = std::vector<std::string>;

/// Layers whose evaluation needs a measure of their sources that nothing was measured for yet: those of a network whose
/// weights came from elsewhere.
std::vector<std::string> unmeasured_layers(const Network& network);
/// For messages: "layers a, b have no scales of their sources, ...".
std::string unmeasured_text(const std::vector<std::string>& layers);

/// What a checkpoint says about using its network, with the network that has its weights.
class TrainedNetwork {
 public:
  /// `configured` is what the checkpoint's configuration describes (Config::stored); it gets the weights, the averaged
  /// ones where there are any, and the ranges of int8. Throws Error(kCheckpoint) where they do not fit.
  TrainedNetwork(const Checkpoint& checkpoint, std::shared_ptr<ConfiguredNetwork> configured);
  /// The same, but the weights come out of the file one after the other.
  TrainedNetwork(StoredCheckpoint& stored, std::shared_ptr<ConfiguredNetwork> configured);

  /// One whose tensors are not a checkpoint's: all that its file would say is empty.
  explicit TrainedNetwork(std::shared_ptr<ConfiguredNetwork> configured) : configured_(std::move(configured)) {}

  const std::string& file() const { return file_; }
  const ConfiguredNetwork& configured() const { return *configured_; }
  const Network& network() const { return configured_->network(); }
  Network& network() { return configured_->network(); }

  /// Of the network's input.
  ImageShape image() const;
  std::int64_t classes() const { return network().classes(); }
  /// As the file has them; it may have fewer than there are classes, or none.
  const std::vector<std::string>& class_names() const { return class_names_; }
  /// The class's name, or its number where it has none.
  std::string class_name(std::int64_t c) const;

  /// What images were normalised with in training; empty where the file does not say.
  const Normalization& trained_with() const { return trained_with_; }
  /// How images are normalised: as in training, but for what the command line gives, each of mean and std by itself.
  /// `train` opens the training set where that asks to measure, or where the file has no normalisation. Throws
  /// Error(kCheckpoint) where the file's own is none.
  Normalization normalization(const std::function<std::shared_ptr<const Dataset>()>& train, Warnings& warnings) const;

  /// The kernels that the file says to run; empty unless it was made by sluice-deploy.
  const std::vector<KernelChoice>& kernels() const { return kernels_; }

  /// Ready to infer on `batch` images with these kernels. What it says belongs to its user; the network stays as it is.
  std::unique_ptr<Executor> make_executor(std::int64_t batch) const;
  /// The one that is all this is for: the network's parameters go back to the system once it has packed them
  /// (Executor::refresh_and_give_back).
  std::unique_ptr<Executor> make_only_executor(std::int64_t batch);

 private:
  /// Without weights.
  TrainedNetwork(std::shared_ptr<ConfiguredNetwork> configured, const Checkpoint& document);
  /// Not refreshed yet.
  std::unique_ptr<Executor> new_executor(std::int64_t batch) const;

  std::shared_ptr<ConfiguredNetwork> configured_;
  std::string file_;
  std::vector<std::string> class_names_;
  Normalization trained_with_;
  std::vector<KernelChoice> kernels_;
};

}  // namespace sluice
