#include "core/graph/slices.hpp"

#include <algorithm>

#include "core/base/parallel.hpp"

namespace sluice {
namespace {

// For each thread: of the largest result, and images enough that weights and starts of layers are worth it.
constexpr std::int64_t kMostBytes = 3 << 19, kLeastImages = 12;

bool may_slice(const Network& network, const ExecutorOptions& options) {
  const auto mixes = [](const Node& node) { return node.declared.mixes_images; };
  return options.mode == Mode::kInference && !options.record_decisions &&
         std::none_of(network.nodes().begin(), network.nodes().end(), mixes);
}

/// Bytes that one image has between two layers, at most.
std::int64_t largest_result(const Network& network) {
  std::int64_t largest = network.input_shape(1).count();
  for (std::size_t i = 0; i < network.nodes().size(); ++i)
    largest = std::max(largest, network.shape({static_cast<int>(i), 0}).count());
  return largest * 4;
}

}  // namespace

std::int64_t slice_of(const Network& network, const ExecutorOptions& options) {
  if (!may_slice(network, options)) return options.batch;
  const std::int64_t threads = num_threads();
  const std::int64_t most = options.slice > 0 ? options.slice : kMostBytes * threads / largest_result(network);
  const std::int64_t least = options.slice > 0 ? 1 : kLeastImages * threads;
  for (std::int64_t slice = std::min(most, options.batch); slice >= least; --slice) {
    if (options.batch % slice == 0) return slice;
  }
  return options.batch;
}

}  // namespace sluice
