#include "core/graph/decided_counts.hpp"

#include <algorithm>

namespace sluice {
namespace {

std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

bool any_wants_counts(const Network& network) {
  const auto& losses = network.auxiliary_losses();
  return std::any_of(losses.begin(), losses.end(), [](const auto& loss) { return loss.second->wants_counts(); });
}

DecidedCounts::DecidedCounts(const Network& network, Statistics& statistics, std::int64_t batch, bool trains,
                             BatchShare ranks)
    : network_(network),
      statistics_(statistics),
      batch_(batch),
      ranks_(ranks),
      wanted_(trains && any_wants_counts(network)),
      open_(network.nodes().size()),
      diff_open_(network.nodes().size()),
      before_(network) {
  const auto images = static_cast<std::size_t>(batch);
  for (const ChannelProducts& products : network.channel_products()) {
    for (const int closer : {products.closes_inputs, products.closes_outputs}) {
      if (closer >= 0) open_[index(closer)].assign(images, 0);
    }
  }
  for (std::size_t v = 0; v < network.nodes().size() && wanted_; ++v) {
    const Declarations& declared = network.nodes()[v].declared;
    diff_counts_.emplace_back(declared.counts.size(), 0.0);
    if (find_role(declared.counts, Role::kOpen) >= 0) diff_open_[v].assign(images, 0.0F);
  }
}

std::int64_t* DecidedCounts::open_by_image(int node) {
  return open_[index(node)].empty() ? nullptr : open_[index(node)].data();
}

const float* DecidedCounts::diff_open(int node) const {
  return diff_open_[index(node)].empty() ? nullptr : diff_open_[index(node)].data();
}

std::int64_t DecidedCounts::open_inputs(const ChannelProducts& products, std::int64_t image) const {
  return products.closes_inputs < 0 ? products.inputs
                                    : open_[index(products.closes_inputs)][static_cast<std::size_t>(image)];
}

std::int64_t DecidedCounts::open_outputs(const ChannelProducts& products, std::int64_t image) const {
  return products.closes_outputs < 0 ? products.outputs
                                     : open_[index(products.closes_outputs)][static_cast<std::size_t>(image)];
}

void DecidedCounts::begin() {
  if (wanted_) before_ = statistics_;
}

void DecidedCounts::end() {
  for (const ChannelProducts& products : network_.channel_products()) {
    std::int64_t* const counts = statistics_.counts(products.node);
    for (std::int64_t n = 0; n < batch_; ++n)
      counts[products.open] += open_inputs(products, n) * open_outputs(products, n);
    counts[products.total] += batch_ * products.inputs * products.outputs;
  }
  if (!wanted_) return;
  Statistics step = statistics_;
  step.subtract(before_);
  if (ranks_.ranks != nullptr) step.sum_over(*ranks_.ranks);
  step_.counts = step.counts_by_node();
}

std::vector<double> DecidedCounts::auxiliary_forward() {
  std::vector<double> values;
  for (const auto& loss : network_.auxiliary_losses()) values.push_back(loss.second->forward(network_, step_));
  return values;
}

// Ranks add up their gradients, each times its share of the images; a count is of the images of all.
void DecidedCounts::auxiliary_backward(float* diff_params) {
  for (std::vector<double>& of_node : diff_counts_) std::fill(of_node.begin(), of_node.end(), 0.0);
  for (const auto& loss : network_.auxiliary_losses())
    loss.second->backward(network_, step_, diff_params, diff_counts_);
  if (!wanted_) return;
  const double weight = ranks_.ranks == nullptr ? 1.0 : ranks_.weight(batch_);
  for (std::size_t v = 0; v < diff_open_.size(); ++v) {
    if (diff_open_[v].empty()) continue;
    const int open = find_role(network_.nodes()[v].declared.counts, Role::kOpen);
    std::fill(diff_open_[v].begin(), diff_open_[v].end(), static_cast<float>(diff_counts_[v][index(open)] / weight));
  }
  const auto add = [&](int closer, std::int64_t image, double diff) {
    if (closer >= 0) diff_open_[index(closer)][static_cast<std::size_t>(image)] += static_cast<float>(diff);
  };
  for (const ChannelProducts& products : network_.channel_products()) {
    const double diff = diff_counts_[index(products.node)][index(products.open)] / weight;
    for (std::int64_t n = 0; n < batch_; ++n) {
      add(products.closes_inputs, n, diff * static_cast<double>(open_outputs(products, n)));
      add(products.closes_outputs, n, diff * static_cast<double>(open_inputs(products, n)));
    }
  }
}

}  // namespace sluice
