#include "core/train/evaluator.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "core/base/error.hpp"
#include "core/data/set_description.hpp"
#include "core/distributed/communicator.hpp"

namespace sluice {
namespace {

PipelineOptions shared_batches(PipelineOptions options, const Communicator* ranks) {
  if (ranks == nullptr) return options;
  options.rank = ranks->rank();
  options.world = ranks->size();
  options.whole_batches = true;
  return options;
}

}  // namespace

ImageShape image_shape(const Network& network) {
  const Shape input = network.input_shape(1);
  return {input[kC], input[kH], input[kW]};
}

void check_data_fits(const Network& network, const Dataset& dataset, const std::string& keys) {
  const ImageShape wanted = image_shape(network), &got = dataset.shape();
  if (got != wanted) {
    throw Error(ExitCode::kData, concat(dataset.name(), ": images are ", to_string(got), ", the network takes ",
                                        to_string(wanted), keys.empty() ? "" : "; set ", keys));
  }
  const std::int64_t classes = network.classes();
  if (dataset.num_classes() > classes) {
    const std::string doubt = doubtful_labels(dataset);
    throw Error(ExitCode::kData,
                concat(dataset.name(), ": has ", dataset.num_classes(), " classes, the network tells only ", classes,
                       " apart", doubt.empty() ? "" : concat(" (", doubt, ")"),
                       "; set the features of its last layer (define.classes in the shipped networks)"));
  }
}

double Evaluation::accuracy_among(std::int64_t k) const {
  const auto best = ranks.begin() + std::min(k, static_cast<std::int64_t>(ranks.size()));
  const std::int64_t found = std::accumulate(ranks.begin(), best, std::int64_t{0});
  return images == 0 ? 0.0 : static_cast<double>(found) / static_cast<double>(images);
}

namespace {

/// How many answers are better than that of the label; of equal ones the first is.
std::int64_t rank_of(const float* logits, std::int64_t classes, std::int32_t label) {
  std::int64_t better = 0;
  for (std::int64_t c = 0; c < classes; ++c)
    better += logits[c] > logits[label] || (logits[c] == logits[label] && c < label) ? 1 : 0;
  return better;
}

}  // namespace

Evaluator::Evaluator(Network& network, const ExecutorOptions& options, const Dataset& dataset,
                     const PipelineOptions& pipeline, Communicator* ranks)
    : network_(network), dataset_(dataset), ranks_(ranks), pipeline_(dataset, shared_batches(pipeline, ranks)) {
  check_data_fits(network, dataset);
  ExecutorOptions inference = options;
  inference.mode = Mode::kInference;
  inference.batch = std::min(pipeline.batch, dataset.size());
  whole_ = std::make_unique<Executor>(network, inference);
  const std::int64_t rest = dataset.size() % inference.batch;
  if (rest == 0) return;
  inference.batch = rest;
  last_ = std::make_unique<Executor>(network, inference);
}

void Evaluator::choose(const std::vector<KernelChoice>& kernels) {
  kernels_ = kernels;
  choose_kernels(*whole_, kernels);
  if (last_ != nullptr) choose_kernels(*last_, kernels);
}

/// An odd one is made when it is needed; what the one before has counted goes to `replaced`.
Executor& Evaluator::executor_for(std::int64_t count, Statistics& replaced) {
  for (Executor* executor : {whole_.get(), last_.get(), odd_.get()}) {
    if (executor != nullptr && executor->options().batch == count) return *executor;
  }
  if (odd_ != nullptr) replaced.add(odd_->statistics());
  ExecutorOptions options = whole_->options();
  options.batch = count;
  odd_ = std::make_unique<Executor>(network_, options);
  choose_kernels(*odd_, kernels_);
  odd_->refresh();
  return *odd_;
}

std::optional<Evaluation> Evaluator::run(const BatchResult& on_batch, const std::function<bool()>& stop) {
  Evaluation evaluation;
  const std::int64_t classes = network_.classes();
  evaluation.confusion.assign(static_cast<std::size_t>(classes * classes), 0);
  evaluation.ranks.assign(static_cast<std::size_t>(classes), 0);
  Statistics statistics(network_);
  std::int64_t seen = 0;
  odd_.reset();
  for (Executor* executor : {whole_.get(), last_.get()}) {
    if (executor == nullptr) continue;
    executor->refresh();
    executor->reset_statistics();
  }
  const auto start = std::chrono::steady_clock::now();
  pipeline_.start(0);
  bool stopped = false;
  while (const Batch* batch = pipeline_.next()) {
    stopped = stop && stop();
    if (stopped) break;
    seen += batch->count;
    if (batch->count == 0) continue;
    Executor& executor = executor_for(batch->count, statistics);
    executor.lend_batch(batch->images.data(), batch->labels.data());
    executor.forward();
    const float* logits = executor.logits().as<const float>();
    for (std::int64_t i = 0; i < batch->count; ++i) {
      const float* row = logits + i * classes;
      const std::int32_t label = batch->labels[static_cast<std::size_t>(i)];
      const std::int64_t predicted = std::max_element(row, row + classes) - row;
      ++evaluation.confusion[static_cast<std::size_t>(label * classes + predicted)];
      ++evaluation.ranks[static_cast<std::size_t>(rank_of(row, classes, label))];
    }
    if (on_batch) on_batch(*batch, logits, classes);
  }
  if (ranks_ != nullptr) stopped = first_rank(*ranks_, stopped) >= 0;
  if (stopped) return std::nullopt;
  evaluation.batch = whole_->options().batch;
  evaluation.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (Executor* executor : {whole_.get(), last_.get(), odd_.get()})
    if (executor != nullptr) statistics.add(executor->statistics());
  if (ranks_ != nullptr) {
    statistics.sum_over(*ranks_);
    ranks_->sum(evaluation.confusion.data(), static_cast<std::int64_t>(evaluation.confusion.size()));
    ranks_->sum(evaluation.ranks.data(), static_cast<std::int64_t>(evaluation.ranks.size()));
    ranks_->sum(&seen, 1);
  }
  evaluation.left_out = dataset_.size() - seen;
  evaluation.counts = statistics.counts_by_node();
  evaluation.sums = statistics.sums_by_node();
  evaluation.images = statistics.count(Role::kImages);
  if (evaluation.left_out == dataset_.size())
    throw Error(ExitCode::kData, concat(dataset_.name(), ": none of its ", dataset_.size(), " pictures can be read"));
  evaluation.correct = statistics.count(Role::kCorrect);
  evaluation.loss = statistics.sum(Role::kLoss) / static_cast<double>(std::max<std::int64_t>(1, evaluation.images));
  evaluation.layer_costs = layer_costs(network_, evaluation.counts);
  evaluation.cost = total(evaluation.layer_costs);
  return evaluation;
}

std::vector<std::string> picture_warnings(const Dataset& dataset, const Evaluation& evaluation) {
  std::vector<std::string> warnings = dataset.take_notes();
  if (evaluation.left_out > 0) {
    warnings.push_back(concat(dataset.name(), ": ", evaluation.left_out, " of ", dataset.size(),
                              " pictures could not be read, and are left out of the evaluation"));
  }
  return warnings;
}

}  // namespace sluice
