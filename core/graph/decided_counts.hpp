// What the layers of one executor decide, put together: counts that need several layers' decisions, what a step of
// training counted, and what auxiliary losses want of the decisions.
#pragma once

#include <cstdint>
#include <vector>

#include "core/distributed/batch_share.hpp"
#include "core/graph/network.hpp"
#include "core/graph/statistics.hpp"

namespace sluice {

/// Some auxiliary loss depends on what steps count.
bool any_wants_counts(const Network& network);

class DecidedCounts {
 public:
  /// `trains`: auxiliary losses are to come. Both references must outlive it.
  DecidedCounts(const Network& network, Statistics& statistics, std::int64_t batch, bool trains, BatchShare ranks);

  /// Where a node's operation writes how many of its outputs are open, by image; null where nobody asks.
  std::int64_t* open_by_image(int node);
  /// Where it finds what opening one more adds to the loss, by image; null where no loss wants it.
  const float* diff_open(int node) const;

  /// Before the first operation of a step, and after the last: adds what several layers decided together.
  void begin();
  void end();

  /// Of training, after end().
  const AuxiliaryStep& step() const { return step_; }
  void set_epochs(double epochs) { step_.epochs = epochs; }
  std::vector<double> auxiliary_forward();
  /// Adds gradients of parameters, and sets diff_open.
  void auxiliary_backward(float* diff_params);

 private:
  std::int64_t open_inputs(const ChannelProducts& products, std::int64_t image) const;
  std::int64_t open_outputs(const ChannelProducts& products, std::int64_t image) const;

  const Network& network_;
  Statistics& statistics_;
  std::int64_t batch_;
  BatchShare ranks_;
  bool wanted_ = false;                          ///< by an auxiliary loss
  std::vector<std::vector<std::int64_t>> open_;  ///< by node that closes channels, and image
  std::vector<std::vector<float>> diff_open_;    ///< by node that decides, and image
  CountGradients diff_counts_;
  Statistics before_;
  AuxiliaryStep step_;
};

}  // namespace sluice
