// A network as a graph of standard operators, for programs that write it down for others, such as sluice-export.
//
// Operators and their operands are those that ONNX defines in its default domain. Whatever says how an operator works
// (bounds, axes, pads) is an attribute here, in the words of the first version that had it; what later versions take as
// an operand instead is the writer's business.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "core/graph/kernel_choice.hpp"
#include "core/graph/network.hpp"

namespace sluice {

/// A constant, row-major.
struct PortableTensor {
  using Values = std::variant<std::vector<float>, std::vector<std::int8_t>, std::vector<std::uint8_t>>;
  Shape shape;
  Values values;
};

using PortableAttribute = std::variant<std::int64_t, double, std::vector<std::int64_t>>;
using PortableAttributes = std::map<std::string, PortableAttribute>;

struct PortableNode {
  std::string op;                   ///< "Conv"
  std::string name;                 ///< that of a layer, or "<layer>/<part>"
  std::vector<std::string> inputs;  ///< values: results, constants, the graph's input
  PortableAttributes attributes;
  std::string result;
};

class PortableGraph {
 public:
  /// `shape` is that of one image; `in_bytes`: numbers from 0 to 255.
  PortableGraph(Shape shape, bool in_bytes);

  /// Adds an operator and returns its result's name, which is `name` unless that is taken.
  std::string add(const std::string& op, const std::string& name, std::vector<std::string> inputs,
                  PortableAttributes attributes = {});
  /// Adds a constant and returns its name; the same one again is the same value.
  std::string constant(const std::string& name, const Shape& shape, PortableTensor::Values values);
  std::string constant(const std::string& name, float scalar);
  bool has(const std::string& value) const { return names_.count(value) != 0; }
  /// Says which value the graph answers with, an image's answer having this shape, and calls it `logits`.
  void finish(const std::string& value, Shape shape);
  /// Puts batch normalisation into the convolutions that it follows, where these have no other users.
  void fold_normalization();

  static constexpr const char* kInput = "images";
  const Shape& input_shape() const { return input_shape_; }
  bool input_in_bytes() const { return input_in_bytes_; }
  const std::string& answer() const { return answer_; }
  const Shape& answer_shape() const { return answer_shape_; }
  /// Each behind those whose results it uses.
  const std::vector<PortableNode>& nodes() const { return nodes_; }
  /// By name. Some may have no users.
  const std::map<std::string, PortableTensor>& constants() const { return constants_; }

 private:
  std::string unused(std::string name) const;
  void fold(PortableNode& convolution, const PortableNode& normalization);

  Shape input_shape_, answer_shape_;
  bool input_in_bytes_;
  std::string answer_;
  std::vector<PortableNode> nodes_;
  std::map<std::string, PortableTensor> constants_;
  std::map<std::string, int> names_;  ///< of all values; how many users they have
};

/// What a translator works on: a layer, and the values that go in.
struct PortableLayer {
  const Network& network;
  const Node& node;
  Attributes attributes;
  std::vector<std::string> src;
  std::vector<Shape> src_shapes;  ///< for one image
  bool src_nonnegative = false;   ///< source 0 holds no number below 0
  bool multiplies_int8 = false;   ///< source 0 is rounded to int8 already, and so should be the weights

  const std::string& name() const { return node.name; }
  /// "conv1/base"
  std::string part(const std::string& name) const { return node.name + "/" + name; }
  /// Values of attributes. Throw Error(kInternal) where there is none.
  std::int64_t whole(const char* name) const;
  double number(const char* name) const;
  bool flag(const char* name) const;
  std::string word(const char* name) const;
  /// A parameter or buffer of the layer.
  Shape shape(const std::string& tensor) const;
  const float* values(const std::string& tensor) const;
  std::vector<float> copy(const std::string& tensor) const;
  /// The same as a constant, "conv1.weight"; a shared one is named after its first user.
  std::string put(PortableGraph& graph, const std::string& tensor) const;
};

struct PortableOptions {
  bool fold = false;              ///< PortableGraph::fold_normalization
  std::vector<double> mean, std;  ///< of the images, which then come in bytes; empty: they come normalised
  ExecutorOptions executor;       ///< as the network would run here: in int8, layers round where it would
  std::vector<KernelChoice> kernels;
};

/// The part of a network that its answer depends on, in inference, each layer by the translator of its kind
/// (Registry::add_translator). Throws Error(kUsage) for a layer that has none.
PortableGraph portable_graph(const Network& network, const PortableOptions& options);

/// Where inference in int8 rounds, by node.
struct Int8Rounding {
  float src_scale = 0;     ///< source 0 is rounded to levels of it for this layer
  float result_scale = 0;  ///< the result is, for all
  bool multiplies_int8 = false;
};
std::vector<Int8Rounding> int8_rounding(const Network& network, const ExecutorOptions& options,
                                        const std::vector<KernelChoice>& kernels);

}  // namespace sluice
