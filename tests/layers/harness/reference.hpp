// Naive references in double precision: one for each layer type, and a graph of them that mirrors a network.
//
// A reference is written from the layer's documentation as plain loops; it reads its keys from the section's text and
// shares no code with the layer.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/graph/network.hpp"
#include "tests/layers/harness/array.hpp"

namespace sluice {

/// What a reference works on. Labels are a source like any other: class numbers.
struct ReferenceCall {
  bool training = false;
  std::uint64_t seed = 0, step = 0;  ///< of random numbers
  int node = 0;                      ///< index of the layer in the network
  bool rounded = false;              ///< the executor keeps this layer's activations in bf16
  std::vector<const Array*> src;
  std::map<std::string, const Array*> param;
  std::map<std::string, Array*> buffer;  ///< forward in training may change them
  Array dst;                             ///< forward sets it, with its shape
  std::vector<Array> more_dst;           ///< ... and those that are read of a layer's further results

  /// Layers with a step whose gradient is that of a smooth surrogate write the step's arguments here. With `held`
  /// forward finds those of an earlier call instead, and the step gives its value there plus the surrogate's change
  /// since: a smooth function, with the layer's value and gradient at that point.
  Array* scores = nullptr;
  bool held = false;
  std::vector<double> open;       ///< they also set how many of their outputs are open, by image: as smooth
  std::vector<double> diff_open;  ///< backward: what one more adds to the loss; empty: nothing

  // Backward alone:
  Array diff_dst;
  std::vector<Array> more_diff_dst;          ///< zeros where no gradient reaches a result
  std::vector<Array> diff_src;               ///< zeros in the sources' shapes; backward fills them
  std::map<std::string, Array*> diff_param;  ///< backward adds
};

/// One layer's reference. Keeps no state between calls: backward computes again what it needs from the sources.
class ReferenceOp {
 public:
  virtual ~ReferenceOp() = default;
  virtual void forward(ReferenceCall& call) = 0;
  virtual void backward(ReferenceCall& call) = 0;
};

/// The text of a layer's keys, with the documented defaults given by the caller.
class ReferenceKeys {
 public:
  explicit ReferenceKeys(const Section& section) : section_(section) {}
  std::int64_t integer(const std::string& key, std::int64_t otherwise) const;
  double number(const std::string& key, double otherwise) const;
  std::string text(const std::string& key, const std::string& otherwise) const;

 private:
  const Section& section_;
};

using ReferenceFactory = std::function<std::unique_ptr<ReferenceOp>(const ReferenceKeys&)>;
using ReferenceTable = std::map<std::string, ReferenceFactory>;

/// References of the layer types that the harness knows itself (tests/layers/harness/reference_*.cpp). A case of
/// another type brings its own.
ReferenceTable standard_references();

/// A network computed by references.
class ReferenceGraph {
 public:
  ReferenceGraph(const Network& network, const ReferenceTable& references);

  /// Takes parameters and buffers from the network's arenas.
  void load();
  Array data, labels;
  std::vector<Array> params, diff_params, buffers;  ///< in the network's order
  /// Nodes whose results and gradients the executor stores as bf16: they are rounded here too. Empty: none.
  std::vector<bool> rounded;
  std::uint64_t seed = 0, step = 0;
  std::vector<Array> scores;                   ///< by node, of layers that decide
  std::vector<std::vector<double>> open;       ///< by node, of these: ReferenceCall::open in the last forward
  std::vector<std::vector<double>> diff_open;  ///< for backward
  bool held = false;                           ///< see ReferenceCall; for differences, which must not cross a step

  void forward(bool training);
  /// After a forward in training: the gradient of the summed losses.
  void backward();
  double loss() const;
  const Array& result(const NodeResult& which) const;

 private:
  ReferenceCall make_call(int node, bool training);
  const Network& network_;
  std::vector<std::unique_ptr<ReferenceOp>> ops_;
  std::vector<std::vector<Array>> results_;  ///< by node and result
};

}  // namespace sluice
