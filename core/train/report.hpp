// What an evaluation found, for people and for scripts.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "core/graph/network.hpp"
#include "core/train/evaluator.hpp"

namespace sluice {

/// What a report is about.
struct ReportSubject {
  std::string checkpoint;
  std::string split;
  std::string dataset;
  std::vector<std::string> class_names;  ///< one for each class of the network
  bool confusion = false;                ///< print the confusion matrix too
  bool deployed = false;                 ///< kernels run by a plan of sluice-deploy
  std::int64_t top_k = 0;                ///< 0: without the accuracy among the k best answers
  std::optional<int> width = {};         ///< of the lines (Table::print)
};

/// Accuracy, loss, per-class accuracy, the metrics of plug-ins, cost (dense and executed) and speed, as text that a
/// person can quote.
void print_report(std::ostream& out, const ReportSubject& subject, const Network& network,
                  const Evaluation& evaluation);

/// The same as one JSON object: images, accuracy (a fraction), loss, metrics of plug-ins by their names, macs_dense,
/// macs_executed, flop_reduction, bit_operations_dense, bit_operations_executed, average_bits, images_per_second
/// (by batches of `batch` on `threads`), deployed, classes [{name, images, correct, accuracy}], layers [{name, type,
/// metrics and costs as above, statistics}], confusion. Costs are of one image; layers without multiply-adds have none.
void print_json_report(std::ostream& out, const ReportSubject& subject, const Network& network,
                       const Evaluation& evaluation);

}  // namespace sluice
