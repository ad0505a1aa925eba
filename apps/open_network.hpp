// A trained network and the images that it is evaluated on.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/evaluation_progress.hpp"
#include "apps/load.hpp"
#include "core/train/evaluator.hpp"

namespace sluice {

/// Made by open_network; it stays where it is, since its parts refer to each other.
struct OpenNetwork {
  Registry registry;
  std::optional<Trained> trained;
  KnownImages images;

  const Experiment& experiment() const { return *trained->experiment; }
  Network& network() const { return trained->experiment->network(); }
  /// As `[run]` and the checkpoint's own kernels say. It must not outlive this.
  std::unique_ptr<Evaluator> evaluator();
  /// Of the whole set; what was found about its images goes to standard error.
  Evaluation evaluate(EvaluationProgress& progress);
};

/// Loads a checkpoint with overrides, opens its images of a split, starts the threads, and says on standard error what
/// sluice-eval says. Throws Error.
std::unique_ptr<OpenNetwork> open_network(const std::string& file, const std::vector<std::string>& overrides,
                                          Split split);

}  // namespace sluice
