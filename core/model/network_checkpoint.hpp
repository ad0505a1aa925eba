// Between a network and the checkpoints that hold it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/restore.hpp"
#include "core/data/normalization.hpp"
#include "core/model/configured_network.hpp"

namespace sluice {

/// Where a checkpoint keeps the averages of weights and buffers, if it has them: "ema/weights", "ema/buffers".
constexpr const char* kAverage = "ema";

/// One slot for each user of a parameter, "<user>/<parameter>"; those after the first share its memory. `arena` is the
/// network's own or one that is laid out like it.
std::vector<TensorSlot> parameter_slots(const Network& network, float* arena);
std::vector<TensorSlot> buffer_slots(const Network& network, float* arena);

/// What is read of an arena: as the slots of the same name.
struct TensorView {
  std::string path;
  Shape shape;
  const float* data = nullptr;
};
std::vector<TensorView> parameter_views(const Network& network, const float* arena);
std::vector<TensorView> buffer_views(const Network& network, const float* arena);

/// Adds the tensors as "<prefix>/<path>"; those that share memory become aliases.
void add_tensors(Checkpoint& checkpoint, const std::string& prefix, const std::vector<TensorView>& tensors);
bool has_tensors(const Checkpoint& checkpoint, const std::string& prefix);
bool has_average(const Checkpoint& checkpoint);

/// Counts and sums by node as a table by names; layers without statistics are left out.
StatisticTable statistic_table(const Network& network, const std::vector<std::vector<std::int64_t>>& counts,
                               const std::vector<std::vector<double>>& sums);

/// Adds what every checkpoint of a network holds besides tensors.
void describe_network(Checkpoint& checkpoint, const ConfiguredNetwork& configured, const Normalization& normalization,
                      const std::vector<std::string>& class_names);

/// A weights-only checkpoint of a network whose tensors came from elsewhere: epoch 0, no history.
Checkpoint untrained_checkpoint(const ConfiguredNetwork& configured, const Normalization& normalization);

/// The normalisation of images that a checkpoint holds (`mean` and `std` of `file`), if it does. Throws
/// Error(kCheckpoint) unless it has a finite mean and a finite std above 0 for each channel.
std::optional<Normalization> stored_normalization(const std::string& file, const Normalization& stored,
                                                  std::int64_t channels);

/// Puts weights and buffers into a network, the averaged ones where the checkpoint has them. `strict` as for `restore`.
RestoreReport restore_weights(const Checkpoint& checkpoint, Network& network, bool strict = true);
RestoreReport restore_weights(StoredCheckpoint& stored, Network& network);

}  // namespace sluice
