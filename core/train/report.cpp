#include "core/train/report.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/parallel.hpp"
#include "core/base/table.hpp"
#include "core/base/units.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/config/text.hpp"
#include "core/graph/derived_metrics.hpp"
#include "core/train/conditional_layers.hpp"

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

void print_confusion(std::ostream& out, const ReportSubject& subject, const Evaluation& evaluation) {
  const std::size_t classes = subject.class_names.size();
  std::vector<Table::Column> columns = {{"", Table::Align::kLeft, Table::kAlways, Table::Narrow::kCuts}};
  // By number, because names are longer than the counts below them.
  for (std::size_t predicted = 0; predicted < classes; ++predicted)
    columns.push_back({std::to_string(predicted), Table::Align::kRight, 50});
  Table table(columns);
  for (std::size_t label = 0; label < classes; ++label) {
    const std::string number = std::to_string(label), &name = subject.class_names[label];
    std::vector<std::string> row = {name == number ? number : concat(number, " ", name)};
    for (std::size_t predicted = 0; predicted < classes; ++predicted)
      row.push_back(std::to_string(evaluation.confusion[label * classes + predicted]));
    table.add(std::move(row));
  }
  out << "\nconfusion matrix (a row for each class, a column for each prediction):\n";
  table.print(out, subject.width, "  ");
}

/// "cost": "45.1 % (18.41 M multiply-adds for one image, dense 40.81 M)"; where all are executed "multiply-adds":
/// "40.81 M for one image".
std::pair<std::string, std::string> work_line(const char* name, double executed, double dense, const std::string& what,
                                              const std::string& per) {
  if (executed >= dense) return {what, operations_text(dense) + per};
  return {name, concat(share_text(executed / dense), " (", operations_text(executed), " ", what, per, ", dense ",
                       operations_text(dense), ")")};
}

/// A line for each layer whose work or figures depend on the images; nothing where there is none.
void print_layers(std::ostream& out, const Network& network, const Evaluation& evaluation,
                  const std::vector<DerivedMetric>& metrics, std::optional<int> width) {
  std::vector<Table::Column> columns = {{"layer", Table::Align::kLeft, Table::kAlways, Table::Narrow::kCuts}};
  for (const DerivedMetric& metric : metrics)
    columns.push_back({shown_name(metric.type->name), Table::Align::kRight, 80});
  columns.insert(columns.end(), {{"multiply-adds", Table::Align::kRight, 60},
                                 {"dense", Table::Align::kRight, 50},
                                 {"cost", Table::Align::kRight, 70}});
  if (has_narrow_activations(network)) columns.push_back({"bits", Table::Align::kRight, 65});
  Table table(columns);
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const Cost& cost = evaluation.layer_costs[i];
    const bool measured = std::any_of(metrics.begin(), metrics.end(),
                                      [i](const DerivedMetric& metric) { return metric.layers[i].has_value(); });
    if (!measured && !is_conditional(network.nodes()[i])) continue;
    std::vector<std::string> row = {network.nodes()[i].name};
    for (const DerivedMetric& metric : metrics)
      row.push_back(metric.layers[i] ? shown_text(metric.type->name, *metric.layers[i]) : "-");
    if (cost.macs_dense > 0)
      row.insert(row.end(), {operations_text(cost.macs_executed), operations_text(cost.macs_dense),
                             share_text(cost.macs_executed / cost.macs_dense), bits_text(cost.average_bits())});
    else
      row.insert(row.end(), {"-", "-", "-", "-"});  // it decides about others' work
    row.resize(columns.size());
    table.add(std::move(row));
  }
  if (table.empty()) return;
  out << "\n";
  table.print(out, width, "  ");
}

std::string speed(const ReportSubject& subject, const Network& network, const Evaluation& evaluation) {
  const bool slow = !subject.deployed && has_conditional_cost(network);
  return concat(fixed(evaluation.images_per_second(), 0), " images per second by batches of ", evaluation.batch, " on ",
                counted(num_threads(), "thread"), ", data included",
                slow ? "; not deployed: sluice-deploy chooses kernels that skip" : "");
}

/// The lines that a person quotes: name and text.
std::vector<std::pair<std::string, std::string>> summary(const ReportSubject& subject, const Network& network,
                                                         const Evaluation& evaluation,
                                                         const std::vector<DerivedMetric>& metrics) {
  const Cost& cost = evaluation.cost;
  std::vector<std::pair<std::string, std::string>> lines = {
      {"accuracy",
       concat(accuracy_text(evaluation.accuracy()), " (", evaluation.correct, " of ", evaluation.images, ")")},
      {"loss", loss_text(evaluation.loss)}};
  if (subject.top_k > 0)
    lines.emplace_back(concat("top ", subject.top_k), accuracy_text(evaluation.accuracy_among(subject.top_k)));
  if (evaluation.left_out > 0)
    lines.emplace_back("left out", concat(evaluation.left_out, " pictures that cannot be read"));
  for (const DerivedMetric& metric : metrics) {
    const std::string &name = metric.type->name, unit = metric.type->unit;
    lines.emplace_back(shown_name(name), shown_text(name, metric.value) + (unit.empty() ? "" : " ") + unit);
  }
  lines.push_back(work_line("cost", cost.macs_executed, cost.macs_dense, "multiply-adds", " for one image"));
  if (has_narrow_activations(network)) {
    lines.emplace_back("bits", bits_text(cost.average_bits()) + " on average");
    lines.push_back(
        work_line("bit cost", cost.bit_operations_executed, cost.bit_operations_dense, "bit operations", ""));
  }
  lines.emplace_back("parameters", count_text(network.learned_count()));
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
  out << subject.checkpoint << " on " << subject.dataset << " (" << counted(evaluation.images, subject.split + " image")
      << ")\n\n";
  const std::vector<ClassResult> classes = by_class(evaluation, subject.class_names.size());
  Table table({{"", Table::Align::kLeft, Table::kAlways, Table::Narrow::kCuts}, {""}, {"", Table::Align::kLeft}});
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const std::optional<double> accuracy = classes[c].accuracy();
    table.add({subject.class_names[c], accuracy ? accuracy_text(*accuracy) : std::string("-  "),
               concat("(", classes[c].correct, " of ", classes[c].images, ")")});
  }
  table.print(out, subject.width, "  ");
  if (subject.confusion) print_confusion(out, subject, evaluation);
  const std::vector<DerivedMetric> metrics = said_once(derive_metrics(network, evaluation.counts));
  print_layers(out, network, evaluation, metrics, subject.width);
  Table figures({{"", Table::Align::kLeft}, {"", Table::Align::kLeft, Table::kAlways, Table::Narrow::kWraps}});
  for (const auto& [name, text] : summary(subject, network, evaluation, metrics)) figures.add({name, text});
  out << "\n";
  figures.print(out, subject.width);
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
  json["batch"] = evaluation.batch;
  json["threads"] = num_threads();
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
