#include "apps/report_subject.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>

#include "apps/decision_maps.hpp"
#include "apps/images.hpp"
#include "apps/open_network.hpp"
#include "core/base/error.hpp"
#include "core/base/text_stream.hpp"
#include "core/checkpoint/run_checkpoint.hpp"
#include "core/config/text.hpp"
#include "core/graph/derived_metrics.hpp"
#include "core/report/records.hpp"
#include "core/train/report.hpp"
#include "gating/gating.hpp"

namespace sluice {
namespace {

constexpr std::size_t kMostRows = 600;     // of a history: a chart has about so many pixels
constexpr std::size_t kMostClasses = 100;  // of a confusion matrix

/// As many digits as a chart shows.
ReportJson rounded(double value) {
  if (!std::isfinite(value)) return nullptr;
  TextReader text(concat(value));
  double short_value = 0;
  text >> short_value;
  return short_value;
}

/// Every so many rows of a long history, the last one among them: of those at ends of epochs, and of those between.
std::vector<std::size_t> shown_rows(const MetricsTable& table) {
  const std::size_t stride = (table.rows.size() + kMostRows - 1) / kMostRows;
  std::size_t seen[2] = {};
  std::vector<std::size_t> shown;
  for (std::size_t row = table.rows.size(); row > 0; --row) {
    const double epoch = table.value(row - 1, "epoch");
    if (seen[epoch == std::floor(epoch) ? 1 : 0]++ % stride == 0) shown.push_back(row - 1);
  }
  std::reverse(shown.begin(), shown.end());
  return shown;
}

ReportJson history_json(const MetricsTable& table, bool with_layers) {
  std::vector<std::size_t> kept;
  ReportJson json = {{"columns", ReportJson::array()}, {"rows", ReportJson::array()}};
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    if (!with_layers && table.columns[c].find('/') != std::string::npos) continue;
    kept.push_back(c);
    json["columns"].push_back(table.columns[c]);
  }
  for (const std::size_t shown : shown_rows(table)) {
    ReportJson row = ReportJson::array();
    for (const std::size_t c : kept) row.push_back(rounded(table.rows[shown][c]));
    json["rows"].push_back(std::move(row));
  }
  return json;
}

ReportJson threshold_json(const float* values, std::int64_t count) {
  constexpr int kBins = 16;
  const auto [least, most] = std::minmax_element(values, values + count);
  const double low = *least, high = *most;
  double sum = 0;
  std::vector<std::int64_t> bins(kBins, 0);
  for (std::int64_t i = 0; i < count; ++i) {
    sum += values[i];
    const double place = high > low ? (values[i] - low) / (high - low) * kBins : 0;
    ++bins[static_cast<std::size_t>(std::clamp(place, 0.0, kBins - 1.0))];
  }
  return {{"min", rounded(low)},
          {"mean", rounded(sum / static_cast<double>(count))},
          {"max", rounded(high)},
          {"bins", bins}};
}

void add_thresholds(const Network& network, ReportJson& layers) {
  for (const Parameter& p : network.parameters()) {
    if (p.group != kThreshold || p.shape.count() == 0) continue;
    for (ReportJson& layer : layers) {
      if (contains(p.users, layer["name"].get<std::string>()))
        layer["threshold"] = threshold_json(network.parameter_data() + p.offset, p.shape.count());
    }
  }
}

/// What sluice-eval --json says, with metrics under one name and thresholds by layer.
ReportJson evaluation_json(OpenNetwork& opened, const Evaluation& evaluation, const std::string& file, Split split) {
  const Network& network = opened.network();
  TextWriter text;
  print_json_report(text,
                    {file, to_string(split), opened.images.dataset->name(),
                     class_names(*opened.images.dataset, network), true, !opened.trained->network.kernels().empty()},
                    network, evaluation);
  ReportJson json = ReportJson::parse(text.str());
  json["metrics"] = ReportJson::object();
  for (const DerivedMetric& metric : derive_metrics(network, evaluation.counts))
    json["metrics"][metric.type->name] = rounded(metric.value);
  for (ReportJson& layer : json["layers"]) layer.erase("statistics");
  add_thresholds(network, json["layers"]);
  if (json["classes"].size() > kMostClasses) json.erase("confusion");
  return json;
}

/// A checkpoint as if it were a run: its history has no times.
RunSummary summary_of(const Checkpoint& checkpoint) {
  RunSummary run;
  run.directory = checkpoint.file;
  run.configuration = checkpoint.config;
  run.config = stored_configuration(checkpoint.config, checkpoint.file);
  run.metrics.columns = checkpoint.history.columns;
  run.metrics.rows = checkpoint.history.rows;
  return run;
}

std::string text_of(const StateValue& value) {
  return std::visit([](const auto& held) { return concat(held); }, value);
}

ReportJson environment_json(const Checkpoint& checkpoint) {
  ReportJson json = ReportJson::object();
  for (const auto& [name, value] : checkpoint.run) json[name] = value;
  for (const auto& [name, value] : checkpoint.state)
    if (!std::holds_alternative<double>(value)) json[name] = text_of(value);
  return json;
}

/// Milliseconds for a batch of images of the set, and of each layer that does work of its own.
void add_times(OpenNetwork& opened, ReportJson& json, Progress& progress) {
  ReportJson& evaluation = json["evaluation"];
  BenchmarkOptions options;
  options.training = options.compare = false;
  options.images = read_images(opened.experiment(), opened.images);
  options.progress = &progress;
  options.kernels = opened.trained->network.kernels();
  const PhaseResult times = run_benchmark(*opened.trained->experiment, options).inference;
  evaluation["milliseconds"] = rounded(times.median_ms);
  evaluation["batch"] = times.batch;
  add_spread(times.spread, json);
  for (ReportJson& layer : evaluation["layers"]) {
    for (const OperationInfo& operation : times.operations)
      if (layer["name"] == operation.name) layer["milliseconds"] = rounded(operation.forward_ms);
  }
}

void evaluate(const std::string& file, const ReportOptions& options, ReportSubjectData& subject,
              EvaluationProgress& progress) try {
  ReportJson& json = subject.json;
  std::unique_ptr<OpenNetwork> opened = open_network(file, options.overrides, options.split);
  json["environment"] = options.whole ? environment_json(opened->trained->checkpoint) : ReportJson::object();
  const Evaluation evaluation = opened->evaluate(progress);
  json["evaluation"] = evaluation_json(*opened, evaluation, file, options.split);
  if (options.time) add_times(*opened, json, progress.line());
  if (!options.whole) {
    for (const char* part : {"layers", "classes", "confusion"}) json["evaluation"].erase(part);
  } else if (options.maps > 0) {
    std::vector<std::string> silent;
    json["maps"] = decision_maps(*opened, options.maps, silent);
    for (const std::string& layer : silent)
      json["problems"].push_back(
          concat("layer ", layer, " keeps no decisions: there is no picture of where it computes"));
  }
  if (options.keep) subject.network = std::move(opened);
} catch (const Error& error) {
  if (error.code() == ExitCode::kUsage) throw;  // of the call
  subject.json["problems"].push_back(concat("not evaluated: ", error.what()));
}

}  // namespace

void add_spread(double spread, ReportJson& json) {
  const std::string unquiet = unquiet_text("networks", {{"this one", spread}});
  if (!unquiet.empty()) json["problems"].push_back(unquiet);
}

ReportSubjectData report_subject(const std::string& path, const ReportOptions& options, EvaluationProgress& progress) {
  progress.next(path);
  ReportSubjectData subject;
  std::error_code error;
  const bool is_run = std::filesystem::is_directory(path, error);
  const std::optional<std::string> checkpoint = is_run ? checkpoint_of_run(path) : path;
  if (is_run) {
    subject.run = read_run(path);
    subject.json["state"] = to_string(subject.run.state);
    if (subject.run.epochs > 0) subject.json["epochs"] = concat(subject.run.epochs_done(), " of ", subject.run.epochs);
    subject.json["time"] = hours_cell(subject.run.hours()).text;
  } else {
    const Checkpoint loaded = load_without_values(path);
    subject.run = summary_of(loaded);
    subject.json["state"] = to_string(loaded.kind) + " checkpoint";
    subject.json["epochs"] = text_of(loaded.counter("epoch"));
  }
  subject.json["name"] = path;
  subject.json["problems"] = ReportJson::array();
  if (!subject.run.reason.empty()) subject.json["problems"].push_back(subject.run.reason);
  subject.json["history"] = history_json(subject.run.metrics, options.whole);
  subject.json["config"] = options.whole ? subject.run.configuration : "";
  subject.json["environment"] = ReportJson::object();
  if (!options.evaluate) return subject;
  if (checkpoint)
    evaluate(*checkpoint, options, subject, progress);
  else
    subject.json["problems"].push_back("not evaluated: the run has no weights.h5 and no checkpoints/best.h5 yet");
  return subject;
}

}  // namespace sluice
