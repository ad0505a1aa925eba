// Golden cases of whole networks: residual networks for 32x32 images, three steps of SGD on one batch.
#include <algorithm>
#include <set>

#include "core/base/error.hpp"
#include "core/graph/executor.hpp"
#include "core/train/experiment.hpp"
#include "core/train/optimizer.hpp"
#include "tests/golden_check/attributes.hpp"
#include "tests/golden_check/cases.hpp"
#include "tests/golden_check/names.hpp"
#include "tests/golden_check/network_text.hpp"

namespace sluice {
namespace {

using Values = std::vector<double>;

class NetworkCheck {
 public:
  NetworkCheck(const Hdf5Group& group, const std::string& name, const Registry& registry, bool winograd)
      : group_(group), attributes_(group), registry_(registry), report_(name), winograd_(winograd) {}

  CaseReport run() {
    std::string text;
    try {
      text = network_text(attributes_, registry_, group_.data_set("before/linear.bias").shape()[0]);
    } catch (const MissingKind& missing) {
      report_.fail(missing.what());
      return report_;
    }
    network_ = build_network(text, registry_);
    network_->initialise(1);
    for_state("before", [&](float* ours, const Values& values, const std::string&) {
      for (std::size_t i = 0; i < values.size(); ++i) ours[i] = static_cast<float>(values[i]);
    });
    read_batch();
    train();
    for_state("after", [&](const float* ours, const Values& values, const std::string& name) {
      compare("after", allowed(2e-3, "spread_after"), name, ours, values);
    });
    evaluate();
    for (const std::string& name : attributes_.unused()) report_.fail(concat("nothing takes attribute '", name, "'"));
    return report_;
  }

 private:
  double allowed(double least, const std::string& spread) { return std::max(least, 10 * attributes_.number(spread)); }

  void compare(const std::string& kind, double tolerance, const std::string& where, const float* ours,
               const Values& values) {
    report_.compare(kind, tolerance, where, Values(ours, ours + values.size()), values);
  }

  /// Calls body(place in our arenas, values, name) for every data set of a group of the state; anything that has no
  /// counterpart fails, on both sides.
  template <class Body>
  void for_state(const std::string& part, Body&& body) {
    const Hdf5Group state = group_.group(part);
    const GoldenNames names(*network_);
    std::set<std::string> seen;
    for (const std::string& name : state.members()) {
      if (is_counter(name)) continue;
      const Hdf5DataSet data = state.data_set(name);
      const NamedPlace* place = names.find(name);
      if (place == nullptr) {
        report_.fail(concat(part, "/", name, " has no counterpart in the network"));
      } else if (squeezed(data.shape()) != squeezed(place->shape)) {
        report_.fail(
            concat(part, "/", name, " has shape ", to_string(data.shape()), ", ours ", to_string(place->shape)));
      } else {
        float* const arena = place->is_buffer ? network_->buffer_data() : network_->parameter_data();
        body(arena + place->offset, data.read<double>(), part + "/" + name);
        seen.insert(place->path);
      }
    }
    for (const NamedPlace& place : names.all()) {
      if (seen.count(place.path) == 0) report_.fail(concat(part, " lacks ", place.path));
    }
  }

  void read_batch() {
    const Hdf5DataSet images = group_.data_set("images");
    batch_ = images.shape()[kN];
    const Values nchw = images.read<double>();
    const std::int64_t channels = images.shape()[kC], pixels = images.shape()[kH] * images.shape()[kW];
    images_.resize(nchw.size());
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(nchw.size()); ++i) {
      const std::int64_t pixel = i % pixels, c = i / pixels % channels, n = i / (pixels * channels);
      images_[static_cast<std::size_t>((n * pixels + pixel) * channels + c)] =
          static_cast<float>(nchw[static_cast<std::size_t>(i)]);
    }
    labels_ = group_.data_set("labels").read<std::int32_t>();
  }

  ExecutorOptions options(Mode mode) const {
    ExecutorOptions options;
    options.mode = mode;
    options.batch = batch_;
    options.winograd = winograd_;
    return options;
  }

  OptimizerOptions optimizer_options() {
    OptimizerOptions options;
    options.lr = attributes_.number("lr");
    options.momentum = attributes_.number("momentum");
    options.weight_decay = attributes_.number("weight_decay");
    if (attributes_.text("decay") == "all") return options;
    std::set<std::string> groups;
    for (const Parameter& p : network_->parameters()) {
      if (squeezed(p.shape).rank() <= 1) groups.insert(p.group);
    }
    options.no_decay.assign(groups.begin(), groups.end());
    return options;
  }

  void train() {
    Executor executor(*network_, options(Mode::kTraining));
    executor.set_batch(images_.data(), labels_.data());
    const OptimizerOptions options = optimizer_options();
    Optimizer optimizer(options, parameter_ranges(*network_), network_->parameter_count());
    const Values cross_entropy = group_.data_set("cross_entropy").read<double>();
    Values losses, auxiliary;
    for (std::size_t step = 0; step < cross_entropy.size(); ++step) {
      executor.refresh();
      executor.forward(step);
      executor.backward();
      losses.push_back(executor.data_loss());
      auxiliary.push_back(executor.loss() - executor.data_loss());
      if (step == 0) check_first_step(executor);
      optimizer.step(network_->parameter_data(), executor.gradients(), options.lr);
    }
    const double tolerance = allowed(1e-3, "spread_losses");
    report_.compare("losses", tolerance, "cross_entropy", losses, cross_entropy);
    report_.compare("losses", tolerance, "gating_loss", auxiliary, group_.data_set("gating_loss").read<double>());
  }

  void check_first_step(const Executor& executor) {
    const double tolerance = allowed(1e-4, "spread_first_step");
    compare("first step", tolerance, "train_logits", executor.logits().as<const float>(),
            group_.data_set("train_logits").read<double>());
    const Hdf5Group grad = group_.group("grad");
    const GoldenNames names(*network_);
    std::set<std::string> seen;
    for (const std::string& name : grad.members()) {
      const NamedPlace* place = names.find(name);
      if (place == nullptr || place->is_buffer) {
        report_.fail(concat("grad/", name, " has no counterpart in the network"));
        continue;
      }
      compare("first step", tolerance, "grad/" + name, executor.gradients() + place->offset,
              grad.data_set(name).read<double>());
      seen.insert(place->path);
    }
    for (const Parameter& p : network_->parameters()) {
      if (seen.count(p.path()) == 0) report_.fail(concat("grad lacks ", p.path()));
    }
  }

  void evaluate() {
    Executor executor(*network_, options(Mode::kInference));
    executor.set_batch(images_.data(), labels_.data());
    executor.refresh();
    executor.forward();
    compare("evaluation", allowed(2e-3, "spread_evaluation"), "eval_logits", executor.logits().as<const float>(),
            group_.data_set("eval_logits").read<double>());
    const GateCounts counts = gate_counts(*network_, executor);
    report_.compare_count("gated_outputs", counts.total, attributes_.integer("gated_outputs"));
    report_.compare_count("taken_outputs", counts.open, attributes_.integer("taken_outputs"));
  }

  const Hdf5Group& group_;
  GroupAttributes attributes_;
  const Registry& registry_;
  CaseReport report_;
  bool winograd_;
  std::unique_ptr<Network> network_;
  std::int64_t batch_ = 0;
  std::vector<float> images_;
  std::vector<std::int32_t> labels_;
};

}  // namespace

bool is_network(const Hdf5Group& group) {
  return group.kind("before") == Hdf5Group::Kind::kGroup;
}

bool rounds_to_levels(const Hdf5Group& group) {
  GroupAttributes attributes(group);
  for (const char* const conv : {"conv1", "conv2"}) {
    const std::string type = attributes.text(conv);
    if (type == "quantized_conv" || type == "pg_conv") return true;
  }
  return false;
}

CaseReport check_network(const Hdf5Group& group, const std::string& name, const Registry& registry, bool winograd) {
  return NetworkCheck(group, name, registry, winograd).run();
}

}  // namespace sluice
