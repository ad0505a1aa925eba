#include "core/train/report.hpp"

#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/printable.hpp"
#include "core/base/text_stream.hpp"
#include "core/config/text.hpp"
#include "core/graph/derived_metrics.hpp"

namespace sluice {
namespace {

struct ClassResult {
  std::int64_t images = 0, correct = 0;
  /// Nothing where the set has no images of the class.
  std::optional<double> accuracy() const {
    if (images == 0) return std::nullopt;
    return static_cast<double>(correct) / static_cast<double>(images);
  }
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
  TextWriter text;
  text << std::fixed << std::setprecision(2) << operations / 1e6 << " M";
  return text.str();
}

void print_confusion(std::ostream& out, const ReportSubject& subject, const Evaluation& evaluation) {
  const std::size_t classes = subject.class_names.size();
  out << "\nconfusion matrix (a row for each class, a column for each prediction):\n";
  for (std::size_t label = 0; label < classes; ++label) {
    out << "  " << std::left << std::setw(14) << one_line(subject.class_names[label]) << std::right;
    for (std::size_t predicted = 0; predicted < classes; ++predicted) {
      out << std::setw(6) << evaluation.confusion[label * classes + predicted];
    }
    out << "\n";
  }
}

std::string times_fewer(double dense, double executed) {
  if (executed >= dense) return "";
  TextWriter text;
  text << std::fixed << std::setprecision(2) << " (" << dense / executed << " times fewer)";
  return text.str();
}

/// A line for each layer whose work or figures depend on the images; nothing where there is none.
void print_layers(std::ostream& out, const Network& network, const Evaluation& evaluation,
                  const std::vector<DerivedMetric>& metrics) {
  std::vector<std::vector<std::string>> rows = {{"layer"}};
  for (const DerivedMetric& metric : metrics) rows[0].push_back(metric.type->name);
  rows[0].insert(rows[0].end(), {"multiply-adds", "of", "bits"});
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const Cost& cost = evaluation.layer_costs[i];
    const bool measured = std::any_of(metrics.begin(), metrics.end(),
                                      [i](const DerivedMetric& metric) { return metric.layers[i].has_value(); });
    if (!measured && cost.bit_operations_executed >= cost.bit_operations_dense) continue;
    std::vector<std::string> row = {network.nodes()[i].name};
    for (const DerivedMetric& metric : metrics)
      row.push_back(metric.layers[i] ? fixed(*metric.layers[i], 4) : std::string("-"));
    row.insert(row.end(), {mega(cost.macs_executed), mega(cost.macs_dense), fixed(cost.average_bits(), 2)});
    rows.push_back(std::move(row));
  }
  if (rows.size() == 1) return;
  out << "\n";
  std::vector<std::size_t> widths(rows[0].size(), 0);
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  for (const auto& row : rows) {
    out << "  " << std::left << std::setw(static_cast<int>(widths[0])) << row[0] << std::right;
    for (std::size_t c = 1; c < row.size(); ++c) out << "  " << std::setw(static_cast<int>(widths[c])) << row[c];
    out << "\n";
  }
}

std::string speed(const ReportSubject& subject, const Network& network, const Evaluation& evaluation) {
  const bool slow = !subject.deployed && has_conditional_cost(network);
  return concat(fixed(evaluation.images_per_second(), 0), " images per second, data included",
                slow ? "; not deployed: sluice-deploy chooses kernels that skip" : "");
}

/// The lines that a person quotes: name and text.
std::vector<std::pair<std::string, std::string>> summary(const ReportSubject& subject, const Network& network,
                                                         const Evaluation& evaluation,
                                                         const std::vector<DerivedMetric>& metrics) {
  const Cost& cost = evaluation.cost;
  std::vector<std::pair<std::string, std::string>> lines = {
      {"accuracy",
       concat(fixed(100 * evaluation.accuracy(), 2), " % (", evaluation.correct, " of ", evaluation.images, ")")},
      {"loss", fixed(evaluation.loss, 4)}};
  if (subject.top_k > 0)
    lines.emplace_back(concat("top ", subject.top_k), fixed(100 * evaluation.accuracy_among(subject.top_k), 2) + " %");
  if (evaluation.left_out > 0)
    lines.emplace_back("left out", concat(evaluation.left_out, " pictures that cannot be read"));
  for (const DerivedMetric& metric : metrics) {
    const std::string& unit = metric.type->unit;
    lines.emplace_back(metric.type->name, fixed(metric.value, 4) + (unit.empty() ? "" : " ") + unit);
  }
  lines.emplace_back("cost", concat(mega(cost.macs_executed), " of ", mega(cost.macs_dense),
                                    " multiply-adds for one image", times_fewer(cost.macs_dense, cost.macs_executed)));
  if (has_narrow_activations(network)) {
    lines.emplace_back(
        "bits", concat(fixed(cost.average_bits(), 2), " on average; ", mega(cost.bit_operations_executed), " of ",
                       mega(cost.bit_operations_dense), " bit operations",
                       times_fewer(cost.bit_operations_dense, cost.bit_operations_executed)));
  }
  lines.emplace_back("parameters", concat(network.learned_count()));
  lines.emplace_back("speed", speed(subject, network, evaluation));
  return lines;
}

void add_cost(nlohmann::ordered_json& json, const Cost& cost) {
  json["macs_dense"] = cost.macs_dense;
  json["macs_executed"] = cost.macs_executed;
  json["flop_reduction"] = cost.flop_reduction();
  json["bit_operations_dense"] = cost.bit_operations_dense;
  json["bit_operations_executed"] = cost.bit_operations_executed;
  json["average_bits"] = cost.average_bits();
}

nlohmann::ordered_json layer_json(const Network& network, const Evaluation& evaluation,
                                  const std::vector<DerivedMetric>& metrics, std::size_t i) {
  const Node& node = network.nodes()[i];
  nlohmann::ordered_json layer = {{"name", node.name}, {"type", node.type}};
  for (const DerivedMetric& metric : metrics) {
    if (metric.layers[i]) layer[metric.type->name] = *metric.layers[i];
  }
  if (!node.declared.costs.empty()) add_cost(layer, evaluation.layer_costs[i]);
  for (std::size_t k = 0; k < node.declared.counts.size(); ++k) {
    layer["statistics"][node.declared.counts[k].name] = evaluation.counts[i][k];
  }
  for (std::size_t k = 0; k < node.declared.sums.size(); ++k)
    layer["statistics"][node.declared.sums[k].name] = evaluation.sums[i][k];
  return layer;
}

}  // namespace

void print_report(std::ostream& out, const ReportSubject& subject, const Network& network,
                  const Evaluation& evaluation) {
  out << subject.checkpoint << " on " << subject.dataset << " (" << subject.split << ", " << evaluation.images
      << " images)\n\n";
  const std::vector<ClassResult> classes = by_class(evaluation, subject.class_names.size());
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const std::optional<double> accuracy = classes[c].accuracy();
    out << "  " << std::left << std::setw(14) << one_line(subject.class_names[c]) << std::right << std::setw(9)
        << (accuracy ? fixed(100 * *accuracy, 2) + " %" : std::string("-  ")) << "  (" << classes[c].correct << " of "
        << classes[c].images << ")\n";
  }
  if (subject.confusion) print_confusion(out, subject, evaluation);
  const std::vector<DerivedMetric> metrics = said_once(derive_metrics(network, evaluation.counts));
  print_layers(out, network, evaluation, metrics);
  const auto lines = summary(subject, network, evaluation, metrics);
  std::size_t width = 10;
  for (const auto& line : lines) width = std::max(width, line.first.size());
  out << "\n" << std::left;
  for (const auto& [name, text] : lines) out << std::setw(static_cast<int>(width)) << name << "  " << text << "\n";
  out << std::right << std::defaultfloat;
}

void print_json_report(std::ostream& out, const ReportSubject& subject, const Network& network,
                       const Evaluation& evaluation) {
  nlohmann::ordered_json json = {
      {"checkpoint", subject.checkpoint},  {"dataset", subject.dataset},      {"split", subject.split},
      {"images", evaluation.images},       {"left_out", evaluation.left_out}, {"correct", evaluation.correct},
      {"accuracy", evaluation.accuracy()}, {"loss", evaluation.loss},         {"parameters", network.learned_count()}};
  if (subject.top_k > 0) json[concat("top", subject.top_k, "_accuracy")] = evaluation.accuracy_among(subject.top_k);
  const std::vector<DerivedMetric> metrics = derive_metrics(network, evaluation.counts);
  for (const DerivedMetric& metric : metrics) json[metric.type->name] = metric.value;
  add_cost(json, evaluation.cost);
  json["images_per_second"] = evaluation.images_per_second();
  json["deployed"] = subject.deployed;
  const std::vector<ClassResult> classes = by_class(evaluation, subject.class_names.size());
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const std::optional<double> accuracy = classes[c].accuracy();
    json["classes"].push_back({{"name", subject.class_names[c]},
                               {"images", classes[c].images},
                               {"correct", classes[c].correct},
                               {"accuracy", accuracy ? nlohmann::ordered_json(*accuracy) : nullptr}});
    const auto row = evaluation.confusion.begin() + static_cast<std::ptrdiff_t>(c * classes.size());
    json["confusion"].push_back(std::vector<std::int64_t>(row, row + static_cast<std::ptrdiff_t>(classes.size())));
  }
  json["layers"] = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const Declarations& declared = network.nodes()[i].declared;
    if (!declared.costs.empty() || !declared.counts.empty())
      json["layers"].push_back(layer_json(network, evaluation, metrics, i));
  }
  out << json_text(json) << "\n";
}

}  // namespace sluice
