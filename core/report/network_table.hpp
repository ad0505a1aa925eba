// Evaluations side by side: of several networks, or of one network whose knob is turned.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/report/records.hpp"
#include "core/train/evaluator.hpp"

namespace sluice {

/// What is kept of an evaluation when its network is gone.
struct NetworkRow {
  Cell subject;            ///< the checkpoint, or where the knob stood
  std::string set, split;  ///< that it was evaluated on
  std::int64_t images = 0, parameters = 0;
  double accuracy = 0;  ///< a share
  double loss = 0;
  std::vector<std::pair<std::string, double>> metrics;  ///< of plug-ins, by name
  std::vector<std::string> complements;                 ///< those of them that are 1 minus another
  Cost cost;                                            ///< of one image
  std::optional<double> milliseconds;                   ///< for a batch of `batch` images
  std::int64_t batch = 0;
};
NetworkRow network_row(Cell subject, const Network& network, const Evaluation& evaluation);

/// subject, accuracy, loss, metrics, macs_executed, macs_dense, flop_reduction, average_bits, bit_operations_executed,
/// bit_operations_dense, parameters, images, split, and milliseconds with batch where they were measured. Names are
/// those of sluice-eval --json. The title says which images they were.
Records networks_table(const RecordColumn& subject, const std::vector<NetworkRow>& rows);

}  // namespace sluice
