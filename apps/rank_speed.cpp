#include "apps/rank_speed.hpp"

#include <algorithm>
#include <functional>
#include <memory>

#include "apps/rank_link.hpp"
#include "core/base/median.hpp"
#include "core/data/pipeline.hpp"
#include "core/distributed/gradient_reducer.hpp"
#include "core/train/benchmark.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kWarmup = 2;

/// Training steps without data.
class Stepper {
 public:
  Stepper(Experiment& experiment, Communicator& ranks)
      : network_(experiment.network()),
        ranks_(ranks),
        whole_(experiment.train.part_batch()),
        own_(rank_share(whole_, ranks.rank(), ranks.size()).size()),
        executor_(network_, options(experiment)),
        optimizer_(experiment.optimizer, parameter_ranges(network_), network_.parameter_count()),
        images_(random_images(network_, own_)) {}

  std::int64_t own_batch() const { return own_; }
  std::unique_ptr<GradientReducer> reducer(Communicator& ranks, WireType wire, bool overlap) {
    GradientReducer::Options options;
    options.wire = wire;
    options.overlap = overlap;
    return std::make_unique<GradientReducer>(ranks, executor_.gradients(), network_.parameter_count(),
                                             network_.buffer_data(), network_.buffer_count(), options);
  }

  /// Milliseconds of a step; all ranks begin together.
  double step(GradientReducer& reducer) {
    return timed([&] {
      reducer.begin(static_cast<double>(own_) / static_cast<double>(whole_));
      executor_.backward([&](std::int64_t first) { reducer.advance(first); });
      reducer.finish();
    });
  }

  /// A step that sends nothing, with what the model wants to know of it.
  StepTrace traced_step(const std::vector<GradientReducer::BucketPlan>& buckets) {
    StepTrace trace;
    std::vector<std::int64_t> finals;
    trace.step_ms = timed([&] {
      const double begin = now_ms();
      executor_.backward([&](std::int64_t first) {
        trace.polls_ms.push_back(now_ms() - begin);
        finals.push_back(first);
      });
      trace.backward_ms = now_ms() - begin;
    });
    for (const GradientReducer::BucketPlan& bucket : buckets) {
      const auto ready = std::find_if(finals.begin(), finals.end(), [&](auto first) { return first <= bucket.first; });
      trace.ready_ms.push_back(trace.polls_ms[static_cast<std::size_t>(ready - finals.begin())]);
      trace.bytes.push_back(bucket.bytes);
    }
    return trace;
  }

 private:
  ExecutorOptions options(const Experiment& experiment) const {
    ExecutorOptions options = experiment.executor_options(Mode::kTraining, own_);
    if (experiment.distributed.sync_batchnorm && ranks_.size() > 1) options.share = {&ranks_, whole_};
    return options;
  }

  double timed(const std::function<void()>& differentiate) {
    begin_together(ranks_);
    const double begin = now_ms();
    executor_.lend_batch(images_.images.data(), images_.labels.data());
    executor_.refresh();
    executor_.forward(number_++);
    differentiate();
    double told = 0;  // which training steps have, too: they end when all ranks have got there
    ranks_.sum(&told, 1);
    float* const gradients = executor_.gradients();
    optimizer_.step(network_.parameter_data(), gradients, 0.0, optimizer_.gradient_norm(gradients));
    return now_ms() - begin;
  }

  Network& network_;
  Communicator& ranks_;
  std::int64_t whole_, own_;
  Executor executor_;
  Optimizer optimizer_;
  BenchmarkImages images_;
  std::uint64_t number_ = 0;
};

std::int64_t largest_bucket(const StepTrace& trace) {
  return *std::max_element(trace.bytes.begin(), trace.bytes.end());
}

}  // namespace

RankSpeed time_ranks(Experiment& experiment, Communicator& ranks, std::int64_t steps) {
  Stepper stepper(experiment, ranks);
  const WireType wire = experiment.distributed.gradients;
  const std::unique_ptr<Communicator> nobody = single_process();
  const auto overlapping = stepper.reducer(ranks, wire, true), apart = stepper.reducer(ranks, wire, false);
  const auto alone = stepper.reducer(*nobody, wire, false);
  std::vector<double> step_ms, exposed_ms, apart_ms, reduction_ms, work_ms, early;
  std::vector<StepTrace> traces;
  for (std::int64_t i = -kWarmup; i < steps; ++i) {
    if (i == 0)
      for (std::vector<double>* of : {&step_ms, &exposed_ms, &apart_ms, &reduction_ms, &work_ms, &early}) of->clear();
    if (i == 0) traces.clear();
    step_ms.push_back(stepper.step(*overlapping));
    exposed_ms.push_back(overlapping->times().exposed_ms);
    early.push_back(static_cast<double>(overlapping->times().bytes_early));
    apart_ms.push_back(stepper.step(*apart));
    reduction_ms.push_back(apart->times().exposed_ms);
    traces.push_back(stepper.traced_step(overlapping->plan()));
    alone->begin(1);
    alone->finish();
    work_ms.push_back(alone->times().exposed_ms);
  }
  RankSpeed speed;
  std::vector<double> alone_ms;
  for (const StepTrace& trace : traces) alone_ms.push_back(trace.step_ms);
  speed.spreads = {{"step", quartile_spread(step_ms)},
                   {"without overlap", quartile_spread(apart_ms)},
                   {"without reduction", quartile_spread(alone_ms)}};
  const auto middle = traces.begin() + static_cast<std::ptrdiff_t>(traces.size() / 2);
  std::nth_element(traces.begin(), middle, traces.end(),
                   [](const StepTrace& a, const StepTrace& b) { return a.step_ms < b.step_ms; });
  speed.alone = *middle;
  speed.alone.work_ms = median(work_ms);
  speed.ranks = ranks.size();
  speed.library = concat(ranks.library(), " (", ranks.transport(), ")");
  speed.wire = wire;
  speed.batch = experiment.train.part_batch();
  speed.own_batch = stepper.own_batch();
  speed.step_ms = median(step_ms);
  speed.exposed_ms = median(exposed_ms);
  speed.apart_ms = median(apart_ms);
  speed.reduction_ms = median(reduction_ms);
  speed.buckets = static_cast<std::int64_t>(overlapping->plan().size());
  speed.bytes_sent = overlapping->bytes_per_step();
  speed.bytes_early = static_cast<std::int64_t>(median(early));
  speed.link = measure_link(ranks, largest_bucket(speed.alone));
  return speed;
}

}  // namespace sluice
