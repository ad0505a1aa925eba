// A network: the graph of layers that a configuration declares, with its parameters and buffers.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/buffer.hpp"
#include "core/config/config.hpp"
#include "core/graph/layer.hpp"
#include "core/graph/registry.hpp"

namespace sluice {

/// A result of a node, or an input of the network: number i (Network::inputs) as node -1 - i.
struct NodeResult {
  NodeResult(int of, int number = 0) : node(of), result(number) {}
  int node;
  int result;  ///< 0: the first
  bool is_input() const { return node < 0; }
  std::size_t input() const { return static_cast<std::size_t>(-1 - node); }
  friend bool operator==(const NodeResult& a, const NodeResult& b) { return a.node == b.node && a.result == b.result; }
  friend bool operator!=(const NodeResult& a, const NodeResult& b) { return !(a == b); }
};

/// The inputs that every network has.
constexpr int kDataSource = -1;    ///< the images, named `data`
constexpr int kLabelsSource = -2;  ///< the class of each image, named `labels`

/// A learned tensor of the network: a range of the parameter arena.
struct Parameter {
  std::string layer;  ///< its first user
  std::string name;
  Shape shape;
  std::string group;
  Init init;
  std::int64_t offset = 0;         ///< in floats, from the start of the arena
  std::vector<std::string> users;  ///< every layer that shares it, the first included
  std::string path() const { return layer + "/" + name; }
};

/// A persistent tensor that is not learned: a range of the buffer arena.
struct StateBuffer {
  std::string layer;
  std::string name;
  Shape shape;
  float initial = 0;
  bool measured = false;  ///< as its layer declares
  std::int64_t offset = 0;
  std::string path() const { return layer + "/" + name; }
};

/// What was measured of a network on images, for inference in int8 (Executor::largest_sources).
struct Calibration {
  std::map<std::string, double> ranges;  ///< by layer: the largest number that its first source was seen to hold
  bool empty() const { return ranges.empty(); }
  double range(const std::string& layer) const;  ///< 0: nothing was measured
};

/// What a network reads.
struct NetworkInput {
  std::string name;  ///< "data", "labels"; "LAYER:NAME" where a layer declares it beside its sources
  Shape shape;       ///< for a batch of one image
  DataType type = DataType::kF32;
};

/// One layer of the graph. Nodes stand in an order in which every source comes before its users.
struct Node {
  std::string name;
  std::string type;
  Section section;
  std::vector<NodeResult> src;
  std::vector<int> inputs;  ///< that it declares: indices into Network::inputs
  std::vector<int> params;
  std::vector<int> buffers;
  Declarations declared;               ///< for a batch of one image
  std::unique_ptr<const Layer> layer;  ///< shared by all executors
};

/// A node whose products each take one of so many `inputs` to one of so many `outputs`, and the nodes that close some
/// of them (Declarations::closes_channels; -1: none does). It counts, for each image, the pairs of channels that are
/// open on both sides, and all pairs.
struct ChannelProducts {
  int node = 0;
  int closes_inputs = -1, closes_outputs = -1;
  std::int64_t inputs = 0, outputs = 0;
  int open = 0, total = 0;  ///< indices of its counts
};

/// `[network]`
struct NetworkOptions {
  std::vector<std::int64_t> input = {3, 32, 32};  ///< channels, height, width
  void describe(Keys& keys);
};

class Network {
 public:
  /// Builds the graph that `config` declares; shapes, parameters and costs are known afterwards. All mistakes go to the
  /// configuration's diagnostics; with any, the constructor throws. The registry must outlive the network.
  Network(Config& config, const Registry& registry);

  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<StateBuffer>& buffers() const { return buffers_; }
  Shape input_shape(std::int64_t batch) const { return {batch, input_[0], input_[1], input_[2]}; }
  /// `data`, `labels`, then what layers declare, in the order of the nodes.
  const std::vector<NetworkInput>& inputs() const { return inputs_; }
  /// The network's answer: the first source of the first loss, or the last node's result when there is no loss.
  NodeResult answer() const;
  int output_node() const { return answer().node; }  ///< whose result it is
  /// Numbers in the network's answer to one image.
  std::int64_t classes() const { return shape(answer()).count(); }
  int find(const std::string& name) const;  ///< index of a node, or kNotFound
  static constexpr int kNotFound = std::numeric_limits<int>::min();
  /// For a batch of one image.
  Shape shape(const NodeResult& source) const;
  /// As `from` names it: "data", "conv1", "split:second".
  std::string name(const NodeResult& source) const;

  /// The types that the network was made of.
  const Registry& registry() const { return registry_; }

  /// The arenas: all parameters (buffers) one behind the other, each aligned to 64 bytes with zeros between.
  float* parameter_data() {
    require_parameters();
    return parameter_arena_.as<float>();
  }
  const float* parameter_data() const {
    require_parameters();
    return parameter_arena_.as<float>();
  }
  std::int64_t parameter_count() const { return parameter_floats_; }
  float* buffer_data() { return buffer_arena_.as<float>(); }
  const float* buffer_data() const { return buffer_arena_.as<float>(); }
  std::int64_t buffer_count() const { return buffer_floats_; }
  /// Gives the memory of parameters back to the system, from `first` on (floats from the start of the arena): of an
  /// inference that has packed them, and is all that the network is for. There are no parameters from then on.
  /// `user`: it, which must be the only one. Throws Error(kInternal) where there is another.
  using User = std::shared_ptr<const int>;
  void give_back_parameters(std::int64_t first, const User& user);
  bool has_parameters() const { return has_parameters_; }
  /// Throws Error(kInternal) where there are none any more.
  void require_parameters() const;
  /// To be held by whoever keeps addresses of parameters: an executor.
  User user() const { return users_; }
  /// Learned numbers, each shared one once.
  std::int64_t learned_count() const;

  /// Draws every parameter anew and sets every buffer to its initial value. Depends on the seed and the names only.
  void initialise(std::uint64_t seed);

  /// The enabled terms of the loss beside the graph's own, each with its section's name.
  const std::vector<std::pair<std::string, std::unique_ptr<AuxiliaryLoss>>>& auxiliary_losses() const {
    return auxiliary_losses_;
  }

  /// Layers whose products are fewer where other layers close channels.
  const std::vector<ChannelProducts>& channel_products() const { return channel_products_; }

  /// What inference in int8 rounds by.
  const Calibration& calibration() const { return calibration_; }
  void set_calibration(Calibration calibration) { calibration_ = std::move(calibration); }

  /// Dense cost of one image over all layers.
  std::int64_t macs() const;

 private:
  class Builder;

  const Registry& registry_;
  std::vector<std::int64_t> input_;
  std::vector<NetworkInput> inputs_;
  std::vector<Node> nodes_;
  std::vector<Parameter> parameters_;
  std::vector<StateBuffer> buffers_;
  std::vector<std::pair<std::string, std::unique_ptr<AuxiliaryLoss>>> auxiliary_losses_;
  std::vector<ChannelProducts> channel_products_;
  Calibration calibration_;
  Buffer parameter_arena_, buffer_arena_;
  std::int64_t parameter_floats_ = 0, buffer_floats_ = 0;
  bool has_parameters_ = true;
  User users_ = std::make_shared<const int>(0);
};

}  // namespace sluice
