#include "core/train/backend_comparison.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/base/json_text.hpp"
#include "core/base/units.hpp"
#include "core/graph/gated_layers.hpp"
#include "core/train/evaluator.hpp"
#include "core/train/progress.hpp"

namespace sluice {
namespace {

/// Executors of both backends for one batch size.
struct Pair {
  Pair(Network& network, ExecutorOptions options, std::int64_t batch, const std::vector<KernelChoice>& kernels) {
    options.mode = Mode::kInference;
    options.batch = batch;
    options.record_decisions = true;
    options.skip = true;
    skip = std::make_unique<Executor>(network, options);
    options.skip = options.int8 = false;
    dense = std::make_unique<Executor>(network, options);
    choose_kernels(*skip, kernels);
    skip->refresh();
    dense->refresh();
  }

  void run(const Batch& batch) const {
    for (Executor* executor : {skip.get(), dense.get()}) {
      executor->lend_batch(batch.images.data(), batch.labels.data());
      executor->forward();
    }
  }

  std::unique_ptr<Executor> skip, dense;
};

void compare_logits(const Pair& pair, const Batch& batch, BackendComparison& total, double& largest) {
  const Tensor skip = pair.skip->logits(), dense = pair.dense->logits();
  const std::int64_t classes = skip.desc.count() / batch.count;
  for (std::int64_t i = 0; i < batch.count; ++i) {
    const float *a = skip.as<const float>() + i * classes, *b = dense.as<const float>() + i * classes;
    const std::int64_t first = std::max_element(a, a + classes) - a, second = std::max_element(b, b + classes) - b;
    const std::int32_t label = batch.labels[static_cast<std::size_t>(i)];
    total.equal += first == second ? 1 : 0;
    total.correct_skip += first == label ? 1 : 0;
    total.correct_dense += second == label ? 1 : 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      const double difference = std::abs(static_cast<double>(a[c] - b[c]));
      if (!(difference <= total.largest_difference)) total.largest_difference = difference;  // NaN stays
      largest = std::max(largest, std::abs(static_cast<double>(b[c])));
    }
  }
  total.images += batch.count;
}

void compare_decisions(const Network& network, const Pair& pair, std::int64_t images, BackendComparison& total) {
  std::size_t at = 0;
  for (int node = 0; node < static_cast<int>(network.nodes().size()); ++node) {
    const float *skip = pair.skip->decisions(node), *dense = pair.dense->decisions(node);
    if (skip == nullptr || dense == nullptr) continue;
    const Node& n = network.nodes()[static_cast<std::size_t>(node)];
    if (at == total.layers.size()) total.layers.push_back({n.name, 0, 0});
    BackendComparison::Layer& layer = total.layers[at++];
    const std::int64_t count = n.declared.dst.count() * images;
    layer.decisions += count;
    for (std::int64_t i = 0; i < count; ++i) layer.different += skip[i] != dense[i] ? 1 : 0;
  }
}

BackendComparison::Layer sum(const BackendComparison& comparison) {
  BackendComparison::Layer total;
  for (const BackendComparison::Layer& layer : comparison.layers) {
    total.decisions += layer.decisions;
    total.different += layer.different;
  }
  return total;
}

double share(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

BackendComparison compare_backends(Network& network, const ExecutorOptions& options, const Dataset& dataset,
                                   const PipelineOptions& pipeline_options, const std::vector<KernelChoice>& kernels,
                                   Progress* progress) {
  check_data_fits(network, dataset);
  BackendComparison comparison;
  std::map<std::int64_t, std::unique_ptr<Pair>> pairs;  // by batch: the last one is smaller
  double largest = 0;
  Pipeline pipeline(dataset, pipeline_options);
  pipeline.start(0);
  while (const Batch* batch = pipeline.next()) {
    if (batch->count == 0) continue;
    std::unique_ptr<Pair>& pair = pairs[batch->count];
    if (!pair) pair = std::make_unique<Pair>(network, options, batch->count, kernels);
    pair->run(*batch);
    compare_logits(*pair, *batch, comparison, largest);
    compare_decisions(network, *pair, batch->count, comparison);
    if (progress != nullptr) progress->pass(batch->count);
  }
  for (const auto& [images, pair] : pairs) comparison.silent = layers_without_decisions(network, *pair->skip);
  if (largest > 0) comparison.largest_difference /= largest;
  return comparison;
}

void print_comparison(std::ostream& out, const BackendComparison& comparison) {
  const BackendComparison::Layer all = sum(comparison);
  out << "skip against dense, on " << counted(comparison.images, comparison.split + " image") << "\n\n"
      << std::fixed << std::setprecision(4) << "predictions  " << comparison.equal << " equal ("
      << 100 * comparison.equal_share() << " %)\n"
      << "accuracy     " << 100 * share(comparison.correct_skip, comparison.images) << " % skipping, "
      << 100 * share(comparison.correct_dense, comparison.images) << " % dense\n"
      << std::scientific << std::setprecision(1) << "logits       differ by " << comparison.largest_difference
      << " of the largest at most\n";
  if (all.decisions > 0) {
    out << "gates        " << all.different << " of " << all.decisions << " decided otherwise ("
        << share(all.different, all.decisions) << ")\n";
  } else {
    out << "gates        "
        << (comparison.silent.empty() ? "none: both backends compute the same\n" : "no decisions to compare\n");
  }
  for (const BackendComparison::Layer& layer : comparison.layers)
    out << "  " << layer.name << ": " << layer.different << " of " << layer.decisions << "\n";
  for (const std::string& name : comparison.silent) out << "  " << name << ": keeps no decisions\n";
  out << std::defaultfloat;
}

void print_json_comparison(std::ostream& out, const BackendComparison& comparison) {
  const BackendComparison::Layer all = sum(comparison);
  nlohmann::ordered_json json = {{"split", comparison.split},
                                 {"images", comparison.images},
                                 {"equal", comparison.equal},
                                 {"equal_share", comparison.equal_share()},
                                 {"accuracy_skip", share(comparison.correct_skip, comparison.images)},
                                 {"accuracy_dense", share(comparison.correct_dense, comparison.images)},
                                 {"largest_difference", comparison.largest_difference},
                                 {"decisions", all.decisions},
                                 {"different", all.different},
                                 {"layers", nlohmann::ordered_json::array()},
                                 {"silent", comparison.silent}};
  for (const BackendComparison::Layer& layer : comparison.layers) {
    json["layers"].push_back({{"name", layer.name}, {"decisions", layer.decisions}, {"different", layer.different}});
  }
  out << json_text(json) << "\n";
}

}  // namespace sluice
