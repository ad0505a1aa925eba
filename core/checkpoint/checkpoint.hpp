// A checkpoint as a document in memory, and its file form (docs/checkpoint-format.md).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "core/base/shape.hpp"
#include "core/data/set_description.hpp"

namespace sluice {

class Output;

/// Files say "major.minor". A reader takes any minor of its major (it skips what it does not know) and refuses a newer
/// major.
constexpr int kCheckpointMajor = 1;
constexpr int kCheckpointMinor = 5;

/// One fp32 tensor in logical layout (weights O x I x KH x KW), row-major.
struct CheckpointTensor {
  std::string path;  ///< "weights/conv1/weight", "buffers/bn1/running_mean", "optimizer/momentum/conv1/weight"
  Shape shape;
  std::vector<float> values;  ///< empty for an alias
  std::string alias_of;       ///< path of an earlier tensor that this one shares its values with; empty otherwise
};

/// A table of numbers with named columns, one row for each time metrics were taken.
struct HistoryTable {
  std::vector<std::string> columns;       ///< accuracies are shares from 0 to 1
  std::vector<std::vector<double>> rows;  ///< each as long as `columns`; NaN where a column has no value
};

using StateValue = std::variant<std::int64_t, double, std::string>;
using StatisticValue = std::variant<std::int64_t, double>;
using StatisticTable = std::map<std::string, std::map<std::string, StatisticValue>>;  ///< layer -> name -> value

/// Work of a layer for one image (CostTerm, core/graph/layer.hpp). `open` and `total` name statistics of the layer;
/// both are empty where the work is always done.
struct CheckpointCost {
  std::int64_t macs = 0, weight_bits = 32, activation_bits = 32;
  bool refines = false;
  std::string open, total;
  bool operator==(const CheckpointCost& other) const;
};

struct Checkpoint {
  enum class Kind { kFull, kWeightsOnly, kDeployable };

  Kind kind = Kind::kFull;
  std::vector<CheckpointTensor> tensors;    ///< in network order; the first user of a shared tensor holds its values
  std::map<std::string, StateValue> state;  ///< a full checkpoint has at least the integers `epoch` and `step`
  /// One of them; 0 where a file without optimizer lacks it.
  StateValue counter(const std::string& name) const {
    const auto found = state.find(name);
    return found == state.end() ? StateValue{std::int64_t{0}} : found->second;
  }
  HistoryTable history;
  std::string config;             ///< resolved configuration
  std::vector<double> mean, std;  ///< normalisation of the network's input, one for each channel
  std::vector<std::string> class_names;
  DataDescription data;                  ///< what it was trained on; empty in files before format 1.4
  std::vector<std::string> layer_names;  ///< in network order
  StatisticTable statistics;             ///< of the training epoch that is running, or has just ended
  StatisticTable evaluation;             ///< of the last evaluation of the run; empty before the first
  std::map<std::string, std::vector<CheckpointCost>> costs;  ///< by layer; layers without multiply-adds have none
  std::map<std::string, double> ranges;        ///< by layer: of the Calibration (a deployable file for int8)
  std::map<std::string, std::string> kernels;  ///< by layer: the kernel to run, of those it can run (a deployable file)
  std::map<std::string, std::string> run;      ///< times, host: the only part in which equal runs may differ

  // Not part of the contents.
  std::string file;              ///< where it was loaded from, for messages
  int minor = kCheckpointMinor;  ///< of the format of that file; accuracies are shares whatever it is (per_cent.hpp)

  const CheckpointTensor* find(const std::string& path) const;
  /// The tensor that holds the values: the tensor itself, or the one that it is an alias of.
  const CheckpointTensor& values_of(const CheckpointTensor& tensor) const;
};

/// "full", "weights_only", "deployable".
std::string to_string(Checkpoint::Kind kind);

/// Digest (32 hexadecimal digits) of everything but `run`: equal runs have equal digests. `minor`: of the format, whose
/// members it covers.
std::string content_digest(const Checkpoint& checkpoint, int minor = kCheckpointMinor);

/// Writes the sealed file atomically; before it takes its place it is read back and compared. On any failure the old
/// file, if there is one, is untouched and nothing else is left behind. Throws Error(kEnvironment) with path and cause
/// (disk full, no such directory), Error(kInternal) for a document that the format cannot hold (see
/// docs/checkpoint-format.md).
void save(const Checkpoint& checkpoint, const std::string& path);
/// The same to a file, or the same bytes to wherever the output goes.
void save(const Checkpoint& checkpoint, const Output& output);

/// Reads a sealed file, in a process of its own: anybody can put a seal on anything.
/// The seal is checked before the HDF5 library sees a byte of it. Throws Error(kCheckpoint) naming the file and what is
/// wrong with it.
Checkpoint load(const std::string& path);

/// The same without the values of its tensors, which the seal alone vouches for.
Checkpoint load_without_values(const std::string& path);

}  // namespace sluice
