#include "core/graph/portable.hpp"

#include <algorithm>

#include "core/base/error.hpp"

namespace sluice {
namespace {

template <class T>
T attribute(const PortableLayer& layer, const char* name) {
  const std::optional<T> value = layer.attributes.get<T>(name);
  if (!value)
    throw Error(ExitCode::kInternal, concat(layer.name(), ": a ", layer.attributes.kind(), " has no value ", name));
  return *value;
}

/// A parameter or buffer of a layer: its first user's name, its shape and where it lies.
struct Tensors {
  const std::string* layer = nullptr;
  const Shape* shape = nullptr;
  const float* data = nullptr;
};

Tensors find_tensor(const PortableLayer& layer, const std::string& name) {
  for (int p : layer.node.params) {
    const Parameter& parameter = layer.network.parameters()[static_cast<std::size_t>(p)];
    if (parameter.name == name)
      return {&parameter.layer, &parameter.shape, layer.network.parameter_data() + parameter.offset};
  }
  for (int b : layer.node.buffers) {
    const StateBuffer& buffer = layer.network.buffers()[static_cast<std::size_t>(b)];
    if (buffer.name == name) return {&buffer.layer, &buffer.shape, layer.network.buffer_data() + buffer.offset};
  }
  throw Error(ExitCode::kInternal, concat(layer.name(), ": a ", layer.attributes.kind(), " has no tensor ", name));
}

/// value = byte * scale + shift, by channel.
std::string normalised(PortableGraph& graph, const std::vector<double>& mean, const std::vector<double>& std) {
  const Shape by_channel{static_cast<std::int64_t>(mean.size()), 1, 1};
  std::vector<float> scale, shift;
  for (std::size_t c = 0; c < mean.size(); ++c) {
    scale.push_back(static_cast<float>(1 / (255 * std[c])));
    shift.push_back(static_cast<float>(-mean[c] / std[c]));
  }
  constexpr std::int64_t kFloat = 1;  // ONNX's TensorProto.DataType
  const std::string floats = graph.add("Cast", "normalize/floats", {PortableGraph::kInput}, {{"to", kFloat}});
  const std::string scaled =
      graph.add("Mul", "normalize/scale", {floats, graph.constant("normalize.scale", by_channel, scale)});
  return graph.add("Add", "normalize", {scaled, graph.constant("normalize.shift", by_channel, shift)});
}

/// Rounded to levels of this scale, -128 to 127.
std::string rounded(PortableGraph& graph, const std::string& name, const std::string& value, float scale) {
  const std::string own = graph.constant(name + "/scale", scale);
  const std::string zero = graph.constant(name + "/zero", {}, std::vector<std::int8_t>{0});
  const std::string levels = graph.add("QuantizeLinear", name + "/levels", {value, own, zero});
  return graph.add("DequantizeLinear", name, {levels, own, zero});
}

/// The nodes that a node's result depends on, itself included.
std::vector<bool> sources_of(const Network& network, int node) {
  std::vector<bool> used(network.nodes().size());
  used[static_cast<std::size_t>(node)] = true;
  for (std::size_t n = used.size(); n-- > 0;) {
    if (!used[n]) continue;
    for (const NodeResult& src : network.nodes()[n].src) {
      if (!src.is_input()) used[static_cast<std::size_t>(src.node)] = true;
    }
  }
  return used;
}

/// Translates one layer after the other.
class Translation {
 public:
  Translation(const Network& network, const PortableOptions& options)
      : network_(network),
        graph_(image_shape(network), !options.mean.empty()),
        images_(options.mean.empty() ? PortableGraph::kInput : normalised(graph_, options.mean, options.std)),
        rounding_(int8_rounding(network, options.executor, options.kernels)),
        results_(network.nodes().size()) {}

  PortableGraph run() {
    const NodeResult answer = network_.answer();
    const std::vector<bool> used = sources_of(network_, answer.node);
    for (std::size_t n = 0; n < used.size(); ++n) {
      if (used[n]) results_[n] = translate(n);
    }
    const Shape shape = network_.shape(answer);
    graph_.finish(value(answer), Shape(std::vector<std::int64_t>(shape.dims().begin() + 1, shape.dims().end())));
    return std::move(graph_);
  }

 private:
  static Shape image_shape(const Network& network) {
    const Shape batch = network.input_shape(1);
    return {batch[kC], batch[kH], batch[kW]};
  }

  std::string translate(std::size_t n) {
    const Node& node = network_.nodes()[n];
    PortableLayer layer{network_, node, node.layer->attributes(), {}, {}};
    const Translator* const translator = network_.registry().translator(layer.attributes.kind());
    if (translator == nullptr) {
      throw Error(ExitCode::kUsage,
                  concat(node.section.where("type"), ": layers of type ", node.type,
                         " are not described by standard operators; the plug-in that brings them must register a "
                         "translator (docs/export.md)"));
    }
    for (const NodeResult& src : node.src) add_source(layer, src);
    const Int8Rounding& rounding = rounding_[n];
    layer.multiplies_int8 = rounding.multiplies_int8;
    if (rounding.src_scale > 0) layer.src[0] = rounded(graph_, layer.part("source"), layer.src[0], rounding.src_scale);
    const std::string result = (*translator)(layer, graph_);
    return rounding.result_scale > 0 ? rounded(graph_, layer.part("rounded"), result, rounding.result_scale) : result;
  }

  void add_source(PortableLayer& layer, const NodeResult& src) const {
    if (src == kLabelsSource) {
      throw Error(ExitCode::kUsage, concat(layer.node.section.where("from"),
                                           ": the network's answer depends on the labels, which are not there"));
    }
    if (src == kDataSource) {
      layer.src.push_back(images_);
      layer.src_shapes.push_back(network_.input_shape(1));
      return;
    }
    const Node& source = network_.nodes()[static_cast<std::size_t>(src.node)];
    if (layer.src.empty()) layer.src_nonnegative = source.declared.nonnegative && src.result == 0;
    layer.src.push_back(value(src));
    layer.src_shapes.push_back(network_.shape(src));
  }

  /// What a translator returned, or another value that it called "<layer>/<result>".
  std::string value(const NodeResult& source) const {
    const auto n = static_cast<std::size_t>(source.node);
    if (source.result == 0) return results_[n];
    const Node& node = network_.nodes()[n];
    const std::string name = node.name + "/" + node.declared.more_dst[static_cast<std::size_t>(source.result - 1)].name;
    if (!graph_.has(name)) {
      throw Error(ExitCode::kUsage, concat(node.section.where("type"), ": ", network_.name(source),
                                           " is not described by standard operators; the translator of ", node.type,
                                           " must name a value ", name));
    }
    return name;
  }

  const Network& network_;
  PortableGraph graph_;
  std::string images_;
  std::vector<Int8Rounding> rounding_;
  std::vector<std::string> results_;  ///< values, by node
};

}  // namespace

PortableGraph::PortableGraph(Shape shape, bool in_bytes)
    : input_shape_(std::move(shape)), input_in_bytes_(in_bytes), names_{{kInput, 0}} {}

std::string PortableGraph::unused(std::string name) const {
  while (names_.count(name) != 0) name += "_";
  return name;
}

std::string PortableGraph::add(const std::string& op, const std::string& name, std::vector<std::string> inputs,
                               PortableAttributes attributes) {
  const std::string own = unused(name);
  for (const std::string& input : inputs) ++names_.at(input);
  names_[own] = 0;
  nodes_.push_back({op, own, std::move(inputs), std::move(attributes), own});
  return own;
}

std::string PortableGraph::constant(const std::string& name, const Shape& shape, PortableTensor::Values values) {
  const auto same = constants_.find(name);
  if (same != constants_.end() && same->second.shape == shape && same->second.values == values) return name;
  const std::string own = unused(name);
  names_[own] = 0;
  constants_[own] = {shape, std::move(values)};
  return own;
}

std::string PortableGraph::constant(const std::string& name, float scalar) {
  return constant(name, Shape{}, std::vector<float>{scalar});
}

void PortableGraph::finish(const std::string& value, Shape shape) {
  const bool is_result = !nodes_.empty() && std::any_of(nodes_.begin(), nodes_.end(),
                                                        [&](const PortableNode& node) { return node.result == value; });
  const std::string made = is_result ? value : add("Identity", "identity", {value});
  answer_ = unused("logits");
  answer_shape_ = std::move(shape);
  names_[answer_] = names_.at(made) + 1;
  for (PortableNode& node : nodes_) {
    if (node.result == made) node.result = answer_;
    std::replace(node.inputs.begin(), node.inputs.end(), made, answer_);
  }
}

std::int64_t PortableLayer::whole(const char* name) const {
  return attribute<std::int64_t>(*this, name);
}

double PortableLayer::number(const char* name) const {
  return attribute<double>(*this, name);
}

bool PortableLayer::flag(const char* name) const {
  return attribute<bool>(*this, name);
}

std::string PortableLayer::word(const char* name) const {
  return attribute<std::string>(*this, name);
}

Shape PortableLayer::shape(const std::string& tensor) const {
  return *find_tensor(*this, tensor).shape;
}

const float* PortableLayer::values(const std::string& tensor) const {
  return find_tensor(*this, tensor).data;
}

std::vector<float> PortableLayer::copy(const std::string& tensor) const {
  const Tensors found = find_tensor(*this, tensor);
  return {found.data, found.data + found.shape->count()};
}

std::string PortableLayer::put(PortableGraph& graph, const std::string& tensor) const {
  return graph.constant(*find_tensor(*this, tensor).layer + "." + tensor, shape(tensor), copy(tensor));
}

PortableGraph portable_graph(const Network& network, const PortableOptions& options) {
  PortableGraph graph = Translation(network, options).run();
  if (options.fold) graph.fold_normalization();
  return graph;
}

}  // namespace sluice
