#include "core/train/evaluator.hpp"

#include <algorithm>
#include <chrono>

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

void check_data_fits(const Network& network, const Dataset& dataset) {
  const Shape wanted = network.input_shape(1);
  const ImageShape& got = dataset.shape();
  if (got.channels != wanted[kC] || got.height != wanted[kH] || got.width != wanted[kW]) {
    throw Error(ExitCode::kData,
                concat(dataset.name(), ": images are ", to_string(got), ", the network takes ", wanted[kC], "x",
                       wanted[kH], "x", wanted[kW], "; set data.pad_to, data.channels or network.input"));
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

Evaluator::Evaluator(Network& network, const ExecutorOptions& options, const Dataset& dataset,
                     const PipelineOptions& pipeline, Communicator* ranks)
    : network_(network), ranks_(ranks), pipeline_(dataset, shared_batches(pipeline, ranks)) {
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
  choose_kernels(*whole_, kernels);
  if (last_ != nullptr) choose_kernels(*last_, kernels);
}

Executor& Evaluator::executor_for(std::int64_t count) {
  return count == whole_->options().batch ? *whole_ : *last_;
}

std::optional<Evaluation> Evaluator::run(const BatchResult& on_batch, const std::function<bool()>& stop) {
  Evaluation evaluation;
  const std::int64_t classes = network_.classes();
  evaluation.confusion.assign(static_cast<std::size_t>(classes * classes), 0);
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
    Executor& executor = executor_for(batch->count);
    executor.lend_batch(batch->images.data(), batch->labels.data());
    executor.forward();
    const float* logits = executor.logits().as<const float>();
    for (std::int64_t i = 0; i < batch->count; ++i) {
      const float* row = logits + i * classes;
      const std::int64_t predicted = std::max_element(row, row + classes) - row;
      ++evaluation
            .confusion[static_cast<std::size_t>(batch->labels[static_cast<std::size_t>(i)] * classes + predicted)];
    }
    if (on_batch) on_batch(*batch, logits, classes);
  }
  if (ranks_ != nullptr) stopped = first_rank(*ranks_, stopped) >= 0;
  if (stopped) return std::nullopt;
  evaluation.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  Statistics statistics = whole_->statistics();
  if (last_ != nullptr) statistics.add(last_->statistics());
  if (ranks_ != nullptr) {
    statistics.sum_over(*ranks_);
    ranks_->sum(evaluation.confusion.data(), static_cast<std::int64_t>(evaluation.confusion.size()));
  }
  evaluation.counts = statistics.counts_by_node();
  evaluation.sums = statistics.sums_by_node();
  evaluation.images = statistics.count(Role::kImages);
  evaluation.correct = statistics.count(Role::kCorrect);
  evaluation.loss = statistics.sum(Role::kLoss) / static_cast<double>(std::max<std::int64_t>(1, evaluation.images));
  evaluation.layer_costs = layer_costs(network_, evaluation.counts);
  evaluation.cost = total(evaluation.layer_costs);
  return evaluation;
}

}  // namespace sluice
