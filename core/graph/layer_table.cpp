#include "core/graph/layer_table.hpp"

#include <algorithm>
#include <iomanip>
#include <ostream>

#include "core/base/error.hpp"
#include "core/base/table.hpp"
#include "core/base/text_stream.hpp"
#include "core/base/units.hpp"
#include "core/config/paragraph.hpp"
#include "core/graph/cost.hpp"

namespace sluice {
namespace {

std::string mebibytes(std::int64_t bytes) {
  TextWriter text;
  text << std::fixed << std::setprecision(1) << static_cast<double>(bytes) / (1 << 20) << " MiB";
  return text.str();
}

/// What runs each node and the memory it takes; a fused one is done "in NAME" and takes none.
struct Execution {
  std::string kernel;
  std::int64_t bytes = 0;
};

std::vector<Execution> executions_of(const Network& network, const Executor& executor) {
  std::vector<Execution> rows(network.nodes().size());
  for (const OperationInfo& operation : executor.operations()) {
    rows[static_cast<std::size_t>(network.find(operation.name))] = {operation.kernel, operation.bytes};
    for (const std::string& name : operation.fused) {
      rows[static_cast<std::size_t>(network.find(name))].kernel = "in " + operation.name;
    }
  }
  return rows;
}

/// Of one image, without the batch: "16x32x32".
std::string image_shape(const Shape& shape) {
  return shape.rank() < 2 ? to_string(shape)
                          : to_string(Shape(std::vector<std::int64_t>(shape.dims().begin() + 1, shape.dims().end())));
}

std::string source_shapes(const Network& network, const Node& node) {
  std::string text;
  for (const NodeResult& s : node.src) {
    if (s != kLabelsSource) text += (text.empty() ? "" : ", ") + image_shape(network.shape(s));
  }
  return text;
}

bool is_read(const Network& network, const NodeResult& result) {
  return std::any_of(network.nodes().begin(), network.nodes().end(), [&](const Node& reader) {
    return std::find(reader.src.begin(), reader.src.end(), result) != reader.src.end();
  });
}

/// The first result, and of the others those that somebody reads.
std::string result_shapes(const Network& network, int node) {
  const Declarations& declared = network.nodes()[static_cast<std::size_t>(node)].declared;
  std::string text = image_shape(declared.dst);
  for (std::size_t k = 0; k < declared.more_dst.size(); ++k) {
    if (is_read(network, {node, static_cast<int>(k) + 1})) text += ", " + image_shape(declared.more_dst[k].shape);
  }
  return text;
}

/// Every user of a node's result is an activation, or hands it on to one by scaling or adding alone.
bool activation_follows(const Network& network, int source) {
  bool used = false;
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const Node& node = network.nodes()[i];
    if (std::find(node.src.begin(), node.src.end(), NodeResult(source)) == node.src.end()) continue;
    used = true;
    if (node.declared.is_activation) continue;
    const std::optional<PostOp> op = node.layer->as_post_op(Mode::kInference);
    const bool hands_on = op && (op->kind == PostOp::Kind::kAffine || op->kind == PostOp::Kind::kAdd);
    if (!hands_on || !activation_follows(network, static_cast<int>(i))) return false;
  }
  return used;
}

/// As the key run.precision calls it.
const char* precision_name(const ExecutorOptions& options) {
  if (options.int8) return "int8";
  return options.type == DataType::kBF16 ? "bf16" : "fp32";
}

}  // namespace

std::string named_once(const std::string& kernels) {
  TextReader words(kernels);
  std::vector<std::string> names;
  for (std::string word; words >> word;)
    if (std::find(names.begin(), names.end(), word) == names.end()) names.push_back(word);
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

void print_layer_table(std::ostream& out, const Network& network, const Executor& executor, std::optional<int> width) {
  const std::vector<Cost> costs = layer_costs(network, {});
  const std::vector<Execution> executions = executions_of(network, executor);
  const auto left = Table::Align::kLeft, right = Table::Align::kRight;
  Table table({{"layer", left, Table::kAlways, Table::Narrow::kCuts},
               {"type", left, 68},
               {"source", left, 20},
               {"result", left, 80},
               {"parameters", right, 70},
               {"dense", right, 75},
               {"memory", right, 60},
               {"kernel", left, 65, Table::Narrow::kWraps}});
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const Node& node = network.nodes()[i];
    std::int64_t learned = 0;
    for (int p : node.params) {
      const Parameter& parameter = network.parameters()[static_cast<std::size_t>(p)];
      if (parameter.layer == node.name)
        learned += parameter.shape.count();  // a shared one counts once, at its first user
    }
    table.add({node.name, node.type, source_shapes(network, node), result_shapes(network, static_cast<int>(i)),
               learned == 0 ? "" : count_text(learned),
               costs[i].macs_dense == 0 ? "" : operations_text(costs[i].macs_dense),
               executions[i].bytes == 0 ? "" : mebibytes(executions[i].bytes), named_once(executions[i].kernel)});
  }
  table.print(out, width);
  const bool training = executor.options().mode == Mode::kTraining;
  print_paragraph(
      out, concat("total: ", network.nodes().size(), " layers, ", count_text(network.learned_count()), " parameters, ",
                  operations_text(total(costs).macs_dense), " dense multiply-adds for one image"));
  print_paragraph(
      out, concat(training ? "a training step of " : "inference of ", executor.options().batch, " images in ",
                  precision_name(executor.options()), ": ", mebibytes(executor.activation_bytes()), " of activations, ",
                  mebibytes(executor.kept_bytes()), " of weights in kernel layouts, ",
                  mebibytes(network.parameter_count() * 4 * (training ? 2 : 1)),
                  training ? " of parameters and gradients" : " of parameters"));
}

std::vector<std::string> missing_activations(const Network& network) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const Node& node = network.nodes()[i];
    if (!node.declared.wants_activation || activation_follows(network, static_cast<int>(i))) continue;
    lines.push_back(concat("layer ", node.name, " (", node.type,
                           ") has no activation behind it: what it leaves out shows in the result as it is; add a relu "
                           "or pact_relu, after a batchnorm if you like"));
  }
  return lines;
}

std::vector<std::string> unread_layers(const Network& network) {
  std::vector<std::string> lines;
  for (int i = 0; i < static_cast<int>(network.nodes().size()); ++i) {
    const Node& node = network.nodes()[static_cast<std::size_t>(i)];
    bool read = node.declared.is_loss || i == network.output_node();
    for (int k = 0; !read && k <= static_cast<int>(node.declared.more_dst.size()); ++k) read = is_read(network, {i, k});
    if (read) continue;
    lines.push_back(
        concat("layer ", node.name, " (", node.type,
               ") is read by no layer: it costs time and changes nothing; name it in a from, or remove it"));
  }
  return lines;
}

std::vector<std::string> slow_kernels(const Executor& executor) {
  std::vector<std::string> lines;
  for (const OperationInfo& operation : executor.operations()) {
    if (!is_reference_kernel(operation.kernel)) continue;
    lines.push_back(concat("layer ", operation.name, " (", operation.type, ") fell to a reference kernel (",
                           operation.kernel, "), which is very slow; try other channel counts or run.layout"));
  }
  return lines;
}

}  // namespace sluice
