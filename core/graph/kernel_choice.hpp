// Which of its alternatives each layer runs: measured on the caller's images, not modelled.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/graph/executor.hpp"

namespace sluice {

/// What was measured of one layer that has a choice.
struct TimedKernel {
  std::string layer;
  std::vector<std::string> alternatives;
  std::vector<double> ms;           ///< of each, for one call of forward: medians over the rounds
  int chosen = 0;                   ///< the one that runs: the fastest, unless a choice says otherwise
  std::vector<double> spread = {};  ///< of each: quartile_spread over the rounds
};

/// Times every alternative of every layer and leaves the fastest ones chosen. `run` calls forward on images like those
/// to come, `forwards` times; the alternatives take turns for `rounds` rounds.
std::vector<TimedKernel> choose_fastest(Executor& executor, int rounds, int forwards, const std::function<void()>& run);

/// Milliseconds of an operation, for one call of forward.
struct OperationTime {
  double ms = 0;      ///< the median over the rounds
  double spread = 0;  ///< quartile_spread
};
/// Of every operation, as it is chosen.
std::vector<OperationTime> time_operations(Executor& executor, int rounds, int forwards,
                                           const std::function<void()>& run);

/// A layer and the name of its alternative, as checkpoints keep them.
using KernelChoice = std::pair<std::string, std::string>;
/// What runs now, for every layer that has a choice.
std::vector<KernelChoice> chosen_kernels(const Executor& executor);
/// Choices whose layer or alternative the executor does not have are passed over: they speak of another network. Those
/// that were measured elsewhere give the same results up to rounding, and may not be the fastest here.
void choose_kernels(Executor& executor, const std::vector<KernelChoice>& choices);

}  // namespace sluice
