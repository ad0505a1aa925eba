#include "core/train/statistics_pass.hpp"

#include <algorithm>

namespace sluice {
StatisticsPass::StatisticsPass(Executor& executor, Network& network, const Dataset& dataset,
                               const PipelineOptions& batches, std::int64_t parts, Communicator& ranks)
    : executor_(executor),
      network_(network),
      ranks_(ranks),
      parts_(parts),
      pipeline_(dataset, batches),
      before_(static_cast<std::size_t>(network.buffer_count())) {
  for (const Node& node : network.nodes()) {
    const double momentum = node.layer->attributes().get<double>("momentum").value_or(0);
    if (momentum <= 0) continue;
    for (const int b : node.buffers) {
      const StateBuffer& buffer = network.buffers()[static_cast<std::size_t>(b)];
      ranges_.push_back({buffer.offset, buffer.shape.count(), momentum});
    }
  }
}

Statistics StatisticsPass::pass(std::int64_t epoch, std::int64_t batches, const Forward& forward) {
  const Statistics before = executor_.statistics();
  executor_.reset_statistics();
  executor_.refresh();
  pipeline_.start(epoch);
  std::int64_t number = 0;
  for (std::int64_t done = 0; done < batches; ++done) {
    const Batch* const batch = pipeline_.next();
    if (batch == nullptr) break;
    for (std::int64_t part = 0; part < parts_; ++part) forward(*batch, part, number++);
  }
  Statistics counted = executor_.statistics();
  executor_.reset_statistics();
  executor_.add_statistics(before);
  return counted;
}

void StatisticsPass::run(std::int64_t epoch, std::int64_t batches) {
  if (ranges_.empty()) return;
  const float* const buffers = network_.buffer_data();
  std::vector<float> after(buffers, buffers + network_.buffer_count());
  pass(epoch, batches,
       [this](const Batch& batch, std::int64_t part, std::int64_t number) { measure(batch, part, number); });
  for (const Range& range : ranges_) std::copy_n(buffers + range.offset, range.count, after.data() + range.offset);
  std::copy(after.begin(), after.end(), network_.buffer_data());
}

CountsByNode StatisticsPass::counts(std::int64_t epoch, std::int64_t batches) {
  const std::vector<float> buffers(network_.buffer_data(), network_.buffer_data() + network_.buffer_count());
  Statistics counted = pass(epoch, batches, [this](const Batch& batch, std::int64_t part, std::int64_t number) {
    forward(batch, part, number);
  });
  std::copy(buffers.begin(), buffers.end(), network_.buffer_data());
  counted.sum_over(ranks_);
  return counted.counts_by_node();
}

void StatisticsPass::forward(const Batch& batch, std::int64_t part, std::int64_t number) {
  const BatchPart images = part_of(batch, part, parts_);
  executor_.lend_batch(images.images, images.labels);
  executor_.forward(static_cast<std::uint64_t>(number));
}

/// Forward makes r' = r + momentum (batch - r) of a running mean r. From the mean m of the k batches before,
/// m + (r' - m) / ((k + 1) momentum) is the mean of k + 1.
void StatisticsPass::measure(const Batch& batch, std::int64_t part, std::int64_t number) {
  float* const buffers = network_.buffer_data();
  for (const Range& range : ranges_) {
    float* const values = buffers + range.offset;
    if (number == 0) std::fill_n(values, range.count, 0.0F);
    std::copy_n(values, range.count, before_.data() + range.offset);
  }
  forward(batch, part, number);
  measured_.clear();
  const double weight = static_cast<double>(batch.count) / static_cast<double>(batch.whole);
  for (const Range& range : ranges_) {
    for (std::int64_t i = range.offset; i < range.offset + range.count; ++i)
      measured_.push_back(weight * static_cast<double>(buffers[i]));
  }
  ranks_.sum(measured_.data(), static_cast<std::int64_t>(measured_.size()));
  auto measured = measured_.begin();
  for (const Range& range : ranges_) {
    const double share = 1 / (static_cast<double>(number + 1) * range.momentum);
    for (std::int64_t i = range.offset; i < range.offset + range.count; ++i) {
      const auto mean = static_cast<double>(before_[static_cast<std::size_t>(i)]);
      buffers[i] = static_cast<float>(mean + share * (*measured++ - mean));
    }
  }
}

}  // namespace sluice
