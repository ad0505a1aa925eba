// Golden cases of single layers.
#include <set>

#include "core/base/error.hpp"
#include "core/graph/executor.hpp"
#include "tests/golden_check/attributes.hpp"
#include "tests/golden_check/cases.hpp"
#include "tests/golden_check/names.hpp"

namespace sluice {
namespace {

constexpr double kTolerance = 1e-5;

using Values = std::vector<double>;

std::string dims_text(const Shape& shape) {
  std::string text;
  for (std::size_t axis = 1; axis < shape.rank(); ++axis) text += concat(axis > 1 ? "x" : "", shape[axis]);
  return text;
}

/// An image in its logical order, or any other tensor as it stands.
Values values_of(const Tensor& tensor) {
  std::vector<float> plain(static_cast<std::size_t>(tensor.desc.count()));
  if (tensor.shape().rank() == 4) {
    to_nchw(tensor, plain.data());
  } else {
    plain.assign(tensor.as<const float>(), tensor.as<const float>() + plain.size());
  }
  return Values(plain.begin(), plain.end());
}

class LayerCheck {
 public:
  LayerCheck(const Hdf5Group& group, const std::string& name, const Registry& registry)
      : group_(group), attributes_(group), registry_(registry), report_(name) {}

  CaseReport run() {
    type_ = attributes_.text("type");
    if (!registry_.is_layer(type_)) {
      report_.fail(concat("layer type '", type_, "' is not built"));
      return report_;
    }
    network_ = build_network(ini(), registry_);
    for (const std::string& name : attributes_.unused())
      report_.fail(concat("attribute '", name, "' is no key of '", type_, "'"));
    network_->initialise(1);
    load();
    check_training();
    if (group_.has_data_set("y_eval")) check_evaluation();
    for (const std::string& name : group_.members()) {
      if (compared_.count(name) == 0) report_.fail(concat("data set '", name, "' belongs to nothing in the layer"));
    }
    return report_;
  }

 private:
  std::string ini() {
    const Shape x = group_.data_set("x").shape();
    batch_ = x[0];
    std::string layer = concat("[layer.layer]\ntype = ", type_, "\n", attributes_.keys_of(registry_, type_));
    for (const char* outputs : {"channels", "features"}) {
      const std::string attribute = concat("out_", outputs);
      if (attributes_.has(attribute)) layer += concat(outputs, " = ", attributes_.integer(attribute), "\n");
    }
    attributes_.ignore(
        {"in_channels", "in_features", "num_out", "num_taken", "num_taken_eval", "threshold_mean", "upper_bound"});
    return concat("[network]\ninput = 1x1x1\n[type.test_source]\nbatch = ", batch_,
                  "\n[type.test_loss]\nbatch = ", batch_,
                  "\n[layer.x]\ntype = test_source\nfrom = data\nshape = ", dims_text(x),
                  x.rank() == 2 ? "\nfp32 = yes\n" : "\n", layer, "[layer.loss]\ntype = test_loss\n");
  }

  Values data(const std::string& name) {
    compared_.insert(name);
    return group_.data_set(name).read<double>();
  }

  void set(float* to, const Values& values, std::int64_t count, const std::string& name) {
    if (static_cast<std::int64_t>(values.size()) != count) {
      throw Error(ExitCode::kData,
                  concat(group_.where(), "/", name, ": ", values.size(), " elements, the layer has ", count));
    }
    for (double value : values) *to++ = static_cast<float>(value);
  }

  void load() {
    for (const Parameter& p : network_->parameters()) {
      const std::string name = p.layer == "x" ? "x" : p.name;
      float* const to = network_->parameter_data() + p.offset;
      if (name == "upper_bound" && attributes_.has(name)) {
        *to = static_cast<float>(attributes_.number(name));
      } else {
        set(to, data(name), p.shape.count(), name);
      }
    }
    for (const StateBuffer& b : network_->buffers()) {
      if (b.layer == "loss") set(network_->buffer_data() + b.offset, data("grad_y"), b.shape.count(), "grad_y");
    }
  }

  ExecutorOptions options(Mode mode) const {
    ExecutorOptions options;
    options.mode = mode;
    options.batch = batch_;
    return options;
  }

  void run_forward(Executor& executor) const {
    const std::vector<float> input(static_cast<std::size_t>(batch_), 0.0F);
    executor.set_batch(input.data(), nullptr);
    executor.refresh();
    executor.forward();
  }

  void compare(const std::string& kind, const std::string& name, const Values& got) {
    report_.compare(kind, kTolerance, name, got, data(name));
  }

  void check_training() {
    Executor executor(*network_, options(Mode::kTraining));
    run_forward(executor);
    compare("training", "y", values_of(executor.logits()));
    check_counts(executor, "num_taken");
    executor.backward();
    for (const Parameter& p : network_->parameters()) {
      const float* const from = executor.gradients() + p.offset;
      compare("gradients", "grad_" + (p.layer == "x" ? "x" : p.name), Values(from, from + p.shape.count()));
    }
    for (const StateBuffer& b : network_->buffers()) {
      if (b.layer == "loss" || is_ours(b.name)) continue;
      const std::string name = "gate_" + b.name.substr(b.name.rfind("running_")) + "_after";
      const float* const from = network_->buffer_data() + b.offset;
      compare("statistics", name, Values(from, from + b.shape.count()));
    }
  }

  void check_evaluation() {
    Executor executor(*network_, options(Mode::kInference));
    run_forward(executor);
    compare("evaluation", "y_eval", values_of(executor.logits()));
    check_counts(executor, "num_taken_eval");
  }

  void check_counts(const Executor& executor, const std::string& taken) {
    if (!attributes_.has(taken)) return;
    const GateCounts counts = gate_counts(*network_, executor);
    report_.compare_count(taken, counts.open, attributes_.integer(taken));
    if (counts.any) report_.compare_count("num_out", counts.total, attributes_.integer("num_out"));
  }

  const Hdf5Group& group_;
  GroupAttributes attributes_;
  const Registry& registry_;
  CaseReport report_;
  std::string type_;
  std::int64_t batch_ = 1;
  std::unique_ptr<Network> network_;
  std::set<std::string> compared_;
};

}  // namespace

CaseReport check_layer(const Hdf5Group& group, const std::string& name, const Registry& registry) {
  return LayerCheck(group, name, registry).run();
}

GateCounts gate_counts(const Network& network, const Executor& executor) {
  GateCounts sum;
  for (std::size_t v = 0; v < network.nodes().size(); ++v) {
    std::set<std::pair<int, int>> pairs;
    for (const CostTerm& term : network.nodes()[v].declared.costs) {
      if (term.open >= 0) pairs.insert({term.open, term.total});
    }
    for (const auto& [open, total] : pairs) {
      sum.open += executor.counts(static_cast<int>(v))[open];
      sum.total += executor.counts(static_cast<int>(v))[total];
      sum.any = true;
    }
  }
  return sum;
}

std::unique_ptr<Network> build_network(const std::string& ini, const Registry& registry) {
  Config config = Config::parse(ini, "golden case");
  auto network = std::make_unique<Network>(config, registry);
  config.check();
  return network;
}

}  // namespace sluice
