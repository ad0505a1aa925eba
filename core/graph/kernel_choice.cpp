#include "core/graph/kernel_choice.hpp"

#include <algorithm>

#include "core/base/median.hpp"
#include "core/graph/timing_runs.hpp"

namespace sluice {
namespace {

int count_of(const OperationInfo& operation) {
  return static_cast<int>(operation.alternatives.size());
}

constexpr int kWarmup = 1;  // rounds

int most_ways(const std::vector<OperationInfo>& operations) {
  int most = 0;
  for (const OperationInfo& operation : operations) most = std::max(most, count_of(operation));
  return most;
}

/// Every operation at its alternative k, or its last one.
void choose_all(Executor& executor, const std::vector<OperationInfo>& operations, int k) {
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const int count = count_of(operations[i]);
    if (count > 0) executor.choose(i, std::min(k, count - 1));
  }
}

/// By operation, alternative and round.
using Times = std::vector<std::vector<std::vector<double>>>;

Times measure(Executor& executor, const std::vector<OperationInfo>& operations, int rounds, int forwards,
              const std::function<void()>& run) {
  Times times;
  for (const OperationInfo& operation : operations) times.emplace_back(operation.alternatives.size());
  const int most = most_ways(operations);
  for (int round = -kWarmup; round < rounds; ++round) {
    for (int k = 0; k < most; ++k) {
      choose_all(executor, operations, k);
      executor.set_profiling(true);
      run();
      const std::vector<OperationInfo> timed = executor.operations();
      for (std::size_t i = 0; i < timed.size() && round >= 0; ++i) {
        if (k < count_of(timed[i])) times[i][static_cast<std::size_t>(k)].push_back(timed[i].forward_ms / forwards);
      }
    }
  }
  executor.set_profiling(false);
  return times;
}

}  // namespace

std::vector<TimedKernel> choose_fastest(Executor& executor, int rounds, int forwards,
                                        const std::function<void()>& run) {
  const std::vector<OperationInfo> operations = executor.operations();
  const Times times = measure(executor, operations, rounds, forwards, run);
  std::vector<TimedKernel> timed;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (count_of(operations[i]) == 0) continue;
    TimedKernel kernel{operations[i].name, operations[i].alternatives, {}};
    for (const std::vector<double>& rounds_ms : times[i]) {
      kernel.ms.push_back(median(rounds_ms));
      kernel.spread.push_back(quartile_spread(rounds_ms));
    }
    kernel.chosen = static_cast<int>(std::min_element(kernel.ms.begin(), kernel.ms.end()) - kernel.ms.begin());
    executor.choose(i, kernel.chosen);
    timed.push_back(std::move(kernel));
  }
  return timed;
}

std::int64_t runs_to_choose(const Executor& executor, int rounds) {
  return std::int64_t{kWarmup + rounds} * most_ways(executor.operations());
}

std::vector<OperationTime> time_operations(Executor& executor, int rounds, int forwards,
                                           const std::function<void()>& run) {
  std::vector<std::vector<double>> times(executor.operations().size());
  for (int round = -kWarmup; round < rounds; ++round) {
    executor.set_profiling(true);
    run();
    const std::vector<OperationInfo> timed = executor.operations();
    for (std::size_t i = 0; i < timed.size() && round >= 0; ++i) times[i].push_back(timed[i].forward_ms / forwards);
  }
  executor.set_profiling(false);
  std::vector<OperationTime> summaries;
  for (const std::vector<double>& of_operation : times)
    summaries.push_back({median(of_operation), quartile_spread(of_operation)});
  return summaries;
}

std::int64_t runs_to_time(int rounds) {
  return kWarmup + rounds;
}

std::vector<KernelChoice> chosen_kernels(const Executor& executor) {
  std::vector<KernelChoice> choices;
  for (const OperationInfo& operation : executor.operations()) {
    if (count_of(operation) == 0) continue;
    choices.emplace_back(operation.name, operation.alternatives[static_cast<std::size_t>(operation.alternative)]);
  }
  return choices;
}

void choose_kernels(Executor& executor, const std::vector<KernelChoice>& choices) {
  const std::vector<OperationInfo> operations = executor.operations();
  for (const auto& [layer, name] : choices) {
    for (std::size_t i = 0; i < operations.size(); ++i) {
      if (operations[i].name != layer) continue;
      const std::vector<std::string>& names = operations[i].alternatives;
      const auto found = std::find(names.begin(), names.end(), name);
      if (found != names.end()) executor.choose(i, static_cast<int>(found - names.begin()));
    }
  }
}

}  // namespace sluice
