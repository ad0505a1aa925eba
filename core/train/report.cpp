#include "core/train/report.hpp"

#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/base/error.hpp"

namespace sluice {
namespace {

struct ClassResult {
  std::int64_t images = 0, correct = 0;
  double accuracy() const { return images == 0 ? 0.0 : static_cast<double>(correct) / static_cast<double>(images); }
};

std::vector<ClassResult> by_class(const Evaluation& evaluation, std::size_t classes) {
  std::vector<ClassResult> results(classes);
  for (std::size_t label = 0; label < classes; ++label) {
    for (std::size_t predicted = 0; predicted < classes; ++predicted) {
      results[label].images += evaluation.confusion[label * classes + predicted];
    }
    results[label].correct = evaluation.confusion[label * classes + label];
  }
  return results;
}

std::string mega(double operations) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(2) << operations / 1e6 << " M";
  return text.str();
}

void print_confusion(std::ostream& out, const ReportSubject& subject, const Evaluation& evaluation) {
  const std::size_t classes = subject.class_names.size();
  out << "\nconfusion matrix (a row for each class, a column for each prediction):\n";
  for (std::size_t label = 0; label < classes; ++label) {
    out << "  " << std::left << std::setw(14) << subject.class_names[label] << std::right;
    for (std::size_t predicted = 0; predicted < classes; ++predicted) {
      out << std::setw(6) << evaluation.confusion[label * classes + predicted];
    }
    out << "\n";
  }
}

nlohmann::ordered_json layer_json(const Network& network, const Evaluation& evaluation, std::size_t i) {
  const Node& node = network.nodes()[i];
  nlohmann::ordered_json layer = {{"name", node.name},
                                  {"type", node.type},
                                  {"macs_dense", evaluation.layer_costs[i].macs_dense},
                                  {"macs_executed", evaluation.layer_costs[i].macs_executed}};
  for (std::size_t k = 0; k < node.declared.counts.size(); ++k) {
    layer["statistics"][node.declared.counts[k]] = evaluation.counts[i][k];
  }
  for (std::size_t k = 0; k < node.declared.sums.size(); ++k)
    layer["statistics"][node.declared.sums[k]] = evaluation.sums[i][k];
  return layer;
}

}  // namespace

void print_report(std::ostream& out, const ReportSubject& subject, const Network& network,
                  const Evaluation& evaluation) {
  out << subject.checkpoint << " on " << subject.dataset << " (" << subject.split << ", " << evaluation.images
      << " images)\n\n";
  const std::vector<ClassResult> classes = by_class(evaluation, subject.class_names.size());
  out << std::fixed << std::setprecision(2);
  for (std::size_t c = 0; c < classes.size(); ++c) {
    out << "  " << std::left << std::setw(14) << subject.class_names[c] << std::right << std::setw(7)
        << 100 * classes[c].accuracy() << " %  (" << classes[c].correct << " of " << classes[c].images << ")\n";
  }
  if (subject.confusion) print_confusion(out, subject, evaluation);
  const Cost& cost = evaluation.cost;
  out << "\naccuracy    " << 100 * evaluation.accuracy() << " % (" << evaluation.correct << " of " << evaluation.images
      << ")\n"
      << "loss        " << std::setprecision(4) << evaluation.loss << "\n"
      << "cost        " << mega(cost.macs_executed) << " of " << mega(cost.macs_dense)
      << " multiply-adds for one image";
  if (cost.macs_executed < cost.macs_dense)
    out << " (" << std::setprecision(2) << cost.macs_dense / cost.macs_executed << " times fewer)";
  out << "\nparameters  " << network.learned_count() << "\n"
      << "speed       " << std::setprecision(0) << evaluation.images_per_second()
      << " images per second, data included\n"
      << std::defaultfloat;
}

void print_json_report(std::ostream& out, const ReportSubject& subject, const Network& network,
                       const Evaluation& evaluation) {
  nlohmann::ordered_json json = {{"checkpoint", subject.checkpoint},
                                 {"dataset", subject.dataset},
                                 {"split", subject.split},
                                 {"images", evaluation.images},
                                 {"correct", evaluation.correct},
                                 {"accuracy", evaluation.accuracy()},
                                 {"loss", evaluation.loss},
                                 {"parameters", network.learned_count()},
                                 {"macs_dense", evaluation.cost.macs_dense},
                                 {"macs_executed", evaluation.cost.macs_executed},
                                 {"bit_operations_dense", evaluation.cost.bit_operations_dense},
                                 {"bit_operations_executed", evaluation.cost.bit_operations_executed},
                                 {"images_per_second", evaluation.images_per_second()}};
  const std::vector<ClassResult> classes = by_class(evaluation, subject.class_names.size());
  for (std::size_t c = 0; c < classes.size(); ++c) {
    json["classes"].push_back({{"name", subject.class_names[c]},
                               {"images", classes[c].images},
                               {"correct", classes[c].correct},
                               {"accuracy", classes[c].accuracy()}});
    const auto row = evaluation.confusion.begin() + static_cast<std::ptrdiff_t>(c * classes.size());
    json["confusion"].push_back(std::vector<std::int64_t>(row, row + static_cast<std::ptrdiff_t>(classes.size())));
  }
  json["layers"] = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const Declarations& declared = network.nodes()[i].declared;
    if (!declared.costs.empty() || !declared.counts.empty())
      json["layers"].push_back(layer_json(network, evaluation, i));
  }
  out << json.dump(2) << "\n";
}

}  // namespace sluice
