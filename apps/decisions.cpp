#include "apps/decisions.hpp"

#include "core/graph/gated_layers.hpp"

namespace sluice {
namespace {

/// In NHWC, so that a pixel's decisions lie together.
ExecutorOptions keeping_decisions(const ConfiguredNetwork& configured) {
  ExecutorOptions options = configured.executor_options(Mode::kInference, 1);
  options.record_decisions = true;
  options.layout = ExecutorOptions::LayoutChoice::kNhwc;
  options.skip = false;
  options.int8 = false;
  return options;
}

DecisionMap map_of(const Node& node, const float* decisions) {
  const Shape& shape = node.declared.dst;
  DecisionMap map;
  map.layer = node.name;
  if (shape.rank() == 4) {
    map.height = shape[kH];
    map.width = shape[kW];
  }
  const std::int64_t channels = shape[kC];
  for (std::int64_t pixel = 0; pixel < map.height * map.width; ++pixel) {
    double open = 0;
    for (std::int64_t c = 0; c < channels; ++c) open += decisions[pixel * channels + c];
    map.shares.push_back(open / static_cast<double>(channels));
  }
  return map;
}

}  // namespace

double density_of(const DecisionMap& map) {
  double sum = 0;
  for (const double share : map.shares) sum += share;
  return sum / static_cast<double>(map.shares.size());
}

DecisionLooker::DecisionLooker(ConfiguredNetwork& configured)
    : network_(configured.network()), executor_(configured.network(), keeping_decisions(configured)) {
  executor_.refresh();
}

const float* DecisionLooker::look(const float* image) {
  executor_.set_batch(image, nullptr);
  executor_.forward();
  return executor_.logits().as<const float>();
}

/// Calls use(node, decisions) for each layer that decides.
template <class Use>
void DecisionLooker::each(const Use& use) const {
  for (int node = 0; node < static_cast<int>(network_.nodes().size()); ++node) {
    const float* const decisions = executor_.decisions(node);
    if (decisions != nullptr) use(network_.nodes()[static_cast<std::size_t>(node)], decisions);
  }
}

bool DecisionLooker::has_gates() const {
  bool any = false;
  each([&](const Node&, const float*) { any = true; });
  return any;
}

std::vector<std::string> DecisionLooker::silent() const {
  return layers_without_decisions(network_, executor_);
}

std::vector<DecisionMap> DecisionLooker::maps() const {
  std::vector<DecisionMap> maps;
  each([&](const Node& node, const float* decisions) { maps.push_back(map_of(node, decisions)); });
  return maps;
}

double DecisionLooker::density() const {
  double open = 0, all = 0;
  each([&](const Node& node, const float* decisions) {
    const std::int64_t count = node.declared.dst.count();
    for (std::int64_t i = 0; i < count; ++i) open += decisions[i];
    all += static_cast<double>(count);
  });
  return all > 0 ? open / all : -1;
}

}  // namespace sluice
