// How fast ranks train together, what they send each other, and what of that costs time.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include "apps/rank_model.hpp"
#include "core/distributed/communicator.hpp"
#include "core/train/experiment.hpp"

namespace sluice {

/// Medians of steps that take turns, in milliseconds; of the root.
struct RankSpeed {
  int ranks = 1;
  std::string library;
  WireType wire = WireType::kF32;
  std::int64_t batch = 0, own_batch = 0;  ///< images of all ranks, of the root
  double step_ms = 0;                     ///< as training does them
  double exposed_ms = 0;                  ///< of these, waiting for gradients when backward is over
  double apart_ms = 0;                    ///< a step whose reduction begins when backward is over
  double reduction_ms = 0;                ///< of these, the reduction
  std::int64_t buckets = 0;
  std::int64_t bytes_sent = 0;                          ///< by the root in a step
  std::int64_t bytes_early = 0;                         ///< of these, arrived when backward was over
  StepTrace alone;                                      ///< a step without reduction
  std::vector<std::pair<std::string, double>> spreads;  ///< quartile_spread of each kind of step
  LinkSpeed link;
  double images_per_second() const { return 1e3 * static_cast<double>(batch) / step_ms; }
};

/// Collective; times `steps` steps of each kind on random images.
RankSpeed time_ranks(Experiment& experiment, Communicator& ranks, std::int64_t steps);

/// With `predict` also what the model says of 8 to 1024 ranks.
void print_rank_speed(std::ostream& out, const RankSpeed& speed, bool predict);
void print_json_rank_speed(std::ostream& out, const RankSpeed& speed, bool predict);

}  // namespace sluice
