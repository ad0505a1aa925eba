// Whether inference that skips answers what inference that computes everything answers.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "core/data/pipeline.hpp"
#include "core/graph/kernel_choice.hpp"

namespace sluice {

class Progress;

struct BackendComparison {
  /// A layer that decides about its outputs.
  struct Layer {
    std::string name;
    std::int64_t decisions = 0;
    std::int64_t different = 0;  ///< each backend on the results of its own layers before
  };

  std::string split;  ///< whose images they are, for reports
  std::int64_t images = 0;
  std::int64_t equal = 0;  ///< predictions
  std::int64_t correct_skip = 0, correct_dense = 0;
  double largest_difference = 0;  ///< of logits, over the largest absolute logit
  std::vector<Layer> layers;
  std::vector<std::string> silent;  ///< layers that decide about their outputs and keep no decisions

  double equal_share() const { return images == 0 ? 1.0 : static_cast<double>(equal) / static_cast<double>(images); }
};

/// Runs both backends over the whole data set, batch by batch; the one that skips with these kernels;
/// `progress` shows the images. Throws Error(kData) where the set does not fit.
BackendComparison compare_backends(Network& network, const ExecutorOptions& options, const Dataset& dataset,
                                   const PipelineOptions& pipeline, const std::vector<KernelChoice>& kernels = {},
                                   Progress* progress = nullptr);

void print_comparison(std::ostream& out, const BackendComparison& comparison);
/// split, images, equal, equal_share, accuracy_skip, accuracy_dense, largest_difference, decisions, different, layers
/// [{name, decisions, different}], silent [names].
void print_json_comparison(std::ostream& out, const BackendComparison& comparison);

}  // namespace sluice
