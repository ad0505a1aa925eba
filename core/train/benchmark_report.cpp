// How figures of a benchmark are printed.
#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/parallel.hpp"
#include "core/base/table.hpp"
#include "core/base/units.hpp"
#include "core/config/text.hpp"
#include "core/graph/layer_table.hpp"
#include "core/graph/onednn.hpp"
#include "core/train/benchmark.hpp"

namespace sluice {
namespace {

std::string kernel_text(const OperationInfo& operation) {
  if (operation.alternatives.empty()) return operation.kernel;
  return operation.kernel + " " + operation.alternatives[static_cast<std::size_t>(operation.alternative)];
}

/// "1.66 ms (1.61 to 2.05)": of steps.
std::string range_text(const PhaseResult& phase) {
  return concat(milliseconds_text(phase.median_ms), " ms (", milliseconds_text(phase.fastest_ms), " to ",
                milliseconds_text(phase.slowest_ms), ")");
}

void print_phase(std::ostream& out, const std::string& title, const PhaseResult& phase, double peak,
                 std::optional<int> width) {
  if (phase.batch == 0) return;
  out << "\n" << title << "\n";
  const bool backward = std::any_of(phase.operations.begin(), phase.operations.end(),
                                    [](const OperationInfo& o) { return o.backward_ms > 0; });
  std::vector<Table::Column> columns = {{"layer", Table::Align::kLeft, Table::kAlways, Table::Narrow::kCuts},
                                        {"forward"}};
  if (backward) columns.push_back({"backward"});
  columns.push_back({"kernel", Table::Align::kLeft, 50, Table::Narrow::kWraps});
  Table table(columns);
  for (const OperationInfo& o : phase.operations) {
    std::string layers = o.name;
    for (const std::string& fused : o.fused) layers += " + " + fused.substr(fused.rfind('.') + 1);
    std::vector<std::string> row = {layers, milliseconds_text(o.forward_ms)};
    if (backward) row.push_back(o.backward_ms > 0 ? milliseconds_text(o.backward_ms) : "");
    row.push_back(named_once(kernel_text(o)));
    table.add(std::move(row));
  }
  table.print(out, width, "  ");
  out << "  step " << range_text(phase) << ", " << std::setprecision(0) << phase.images_per_second
      << " images per second, " << rate_text(phase, peak) << "\n"
      << std::setprecision(2);
}

/// Of what inference saw.
std::string images_text(const BenchmarkResult& result) {
  return result.split.empty() ? " of random images" : concat(", ", result.images, " ", result.split, " images");
}

std::string slice_text(const PhaseResult& phase) {
  return phase.slice < phase.batch ? concat(" in slices of ", phase.slice) : "";
}

std::string title_of(const BenchmarkTwin& twin) {
  return twin.name == "dense" ? "dense twin" : "dense twin with direct convolutions";
}

void print_twins(std::ostream& out, const BenchmarkResult& result) {
  for (const BenchmarkTwin& twin : result.twins) {
    out << "  " << title_of(twin) << ": " << range_text(twin.phase) << "; this network is "
        << twin.phase.median_ms / result.inference.median_ms << " times as fast\n";
  }
}

/// Of everything whose steps were timed.
std::vector<std::pair<std::string, double>> spreads_of(const BenchmarkResult& result) {
  std::vector<std::pair<std::string, double>> spreads;
  if (result.training.batch != 0) spreads.emplace_back("training", result.training.spread);
  if (result.inference.batch != 0) spreads.emplace_back("inference", result.inference.spread);
  for (const BenchmarkTwin& twin : result.twins) spreads.emplace_back(title_of(twin), twin.phase.spread);
  return spreads;
}

nlohmann::ordered_json layers_json(const PhaseResult& phase) {
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (const OperationInfo& o : phase.operations) {
    layers.push_back({{"name", o.name},
                      {"type", o.type},
                      {"fused", o.fused},
                      {"kernel", kernel_text(o)},
                      {"result", to_string(o.dst)},
                      {"refresh_ms", o.refresh_ms},
                      {"forward_ms", o.forward_ms},
                      {"backward_ms", o.backward_ms}});
  }
  return layers;
}

void add_phase(nlohmann::ordered_json& json, const std::string& prefix, const PhaseResult& phase) {
  if (phase.batch == 0) return;
  json[prefix + "_batch"] = phase.batch;
  json[prefix + "_slice"] = phase.slice;
  json[prefix + "_images_per_second"] = phase.images_per_second;
  json[prefix + "_ms"] = phase.median_ms;
  json[prefix + "_ms_fastest"] = phase.fastest_ms;
  json[prefix + "_ms_slowest"] = phase.slowest_ms;
  json[prefix + "_spread"] = phase.spread;
  json[prefix + "_gflops"] = phase.gflops;
  json[prefix + "_dense_equivalent"] = phase.saves_work();
  json[prefix + "_activation_bytes"] = phase.activation_bytes;
}

std::string percent(const std::optional<double>& share) {
  return share ? share_text(*share) : "none";
}

nlohmann::ordered_json optional_json(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

std::optional<double> ms_of(const std::optional<OperationTime>& twin) {
  return twin ? std::optional<double>(twin->ms) : std::nullopt;
}

/// Of the way that runs.
double spread_of(const TimedKernel& kernel) {
  const auto chosen = static_cast<std::size_t>(kernel.chosen);
  return chosen < kernel.spread.size() ? kernel.spread[chosen] : 0;
}

/// Of what it is compared with, too.
double spread_of(const KernelRow& row) {
  const OperationTime none;
  return std::max({spread_of(row.kernel), row.dense.value_or(none).spread, row.dense_direct.value_or(none).spread});
}

nlohmann::ordered_json kernels_json(const std::vector<KernelRow>& rows) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const KernelRow& row : rows) {
    nlohmann::ordered_json ways = nlohmann::ordered_json::object();
    for (std::size_t k = 0; k < row.kernel.ms.size(); ++k) ways[row.kernel.alternatives[k]] = row.kernel.ms[k];
    json.push_back({{"name", row.kernel.layer},
                    {"ms", ways},
                    {"chosen", row.kernel.alternatives[static_cast<std::size_t>(row.kernel.chosen)]},
                    {"dense_ms", optional_json(ms_of(row.dense))},
                    {"dense_direct_ms", optional_json(ms_of(row.dense_direct))},
                    {"spread", spread_of(row)}});
    if (!row.swept) continue;
    json.back()["density"] = optional_json(row.density);
    json.back()["break_even"] = optional_json(row.break_even);
    json.back()["break_even_direct"] = optional_json(row.break_even_direct);
  }
  return json;
}

/// Columns of a plan, and the ways for which they have one, in the order in which layers name them.
struct PlanColumns {
  std::vector<Table::Column> columns = {
      {"layer", Table::Align::kLeft, Table::kAlways, Table::Narrow::kCuts}, {"runs", Table::Align::kLeft}, {"ms"}};
  std::vector<std::string> ways;

  /// A way that some layer runs stays longer than others.
  void add(const TimedKernel& kernel) {
    constexpr int kOther = 60, kRuns = 65;
    const std::string& chosen = kernel.alternatives[static_cast<std::size_t>(kernel.chosen)];
    for (const std::string& way : kernel.alternatives) {
      const auto place = std::find(ways.begin(), ways.end(), way);
      const auto column = static_cast<std::size_t>(3 + (place - ways.begin()));
      if (place == ways.end()) {
        ways.push_back(way);
        columns.push_back({way, Table::Align::kRight, kOther});
      }
      if (way == chosen) columns[column].importance = kRuns;
    }
  }

  std::vector<std::string> cells(const TimedKernel& kernel) const {
    const auto chosen = static_cast<std::size_t>(kernel.chosen);
    std::vector<std::string> cells = {kernel.layer, kernel.alternatives[chosen], milliseconds_text(kernel.ms[chosen])};
    cells.resize(columns.size());
    for (std::size_t k = 0; k < kernel.ms.size(); ++k) {
      const auto way = std::find(ways.begin(), ways.end(), kernel.alternatives[k]);
      cells[3 + static_cast<std::size_t>(way - ways.begin())] = milliseconds_text(kernel.ms[k]);
    }
    return cells;
  }
};

/// A plan's columns of twins and densities, those for which some row has something.
class TwinColumns {
 public:
  explicit TwinColumns(const std::vector<KernelRow>& rows) {
    const auto any = [&](const auto& has) { return std::any_of(rows.begin(), rows.end(), has); };
    twins_ = any([](const KernelRow& row) { return row.dense.has_value(); });
    swept_ = any([](const KernelRow& row) { return row.swept; });
  }
  bool twins() const { return twins_; }

  void add_to(std::vector<Table::Column>& columns) const {
    const auto right = Table::Align::kRight;
    if (twins_) columns.insert(columns.end(), {{"twin", right, 80}, {"direct twin", right, 55}});
    if (swept_) columns.push_back({"density", right, 85});
    if (twins_ && swept_) columns.insert(columns.end(), {{"even", right, 75}, {"even with direct", right, 50}});
  }

  std::vector<std::string> cells(const KernelRow& row) const {
    std::vector<std::string> cells;
    const auto ms = [](const auto& twin) { return twin ? milliseconds_text(twin->ms) : ""; };
    if (twins_) cells = {ms(row.dense), ms(row.dense_direct)};
    if (swept_) cells.push_back(row.swept ? percent(row.density) : "");
    if (!twins_ || !swept_) return cells;
    cells.push_back(row.swept && row.dense ? percent(row.break_even) : "");
    cells.push_back(row.swept && row.dense_direct ? percent(row.break_even_direct) : "");
    return cells;
  }

 private:
  bool twins_ = false, swept_ = false;
};

constexpr char kWhatWaysAre[] = "  docs/glossary.md says what each way is\n";

void print_unquiet(std::ostream& out, const std::vector<std::pair<std::string, double>>& spreads) {
  const std::string text = unquiet_text("layers", spreads);
  if (!text.empty()) out << "  " << text << "\n";
}

}  // namespace

std::string rate_text(const PhaseResult& phase, double peak) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(0) << phase.gflops << " GFLOP/s"
       << (phase.saves_work() ? " of dense work" : "");
  if (phase.gflops <= peak) {
    text << " = " << 100 * phase.gflops / peak << " % of the measured peak of " << peak;
  } else {
    text << ", more than the measured peak of " << peak
         << ": Winograd's algorithm or layers that skip leave out a part of that work";
  }
  return text.str();
}

std::string unquiet_text(const std::string& things, const std::vector<std::pair<std::string, double>>& spreads) {
  constexpr double kQuiet = 0.2;
  const auto restless =
      std::count_if(spreads.begin(), spreads.end(), [](const auto& each) { return each.second > kQuiet; });
  if (restless == 0) return "";
  const auto most = std::max_element(spreads.begin(), spreads.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return concat("the times of ", restless, " of ", spreads.size(), " ", things, " vary by more than ", 100 * kQuiet,
                " % between repetitions (", most->first, " by ", fixed(100 * most->second, 0),
                " %): the machine is not quiet, figures are uncertain");
}

void print_plan(std::ostream& out, const std::vector<TimedKernel>& kernels, const std::string& batch,
                std::optional<int> width) {
  if (kernels.empty()) {
    out << "plan: empty, no layer of this network can run in several ways\n";
    return;
  }
  out << "plan: milliseconds for " << batch << " of the way that a layer runs, and of each that it could\n";
  PlanColumns plan;
  for (const TimedKernel& kernel : kernels) plan.add(kernel);
  Table table(plan.columns);
  std::vector<std::pair<std::string, double>> spreads;
  for (const TimedKernel& kernel : kernels) {
    table.add(plan.cells(kernel));
    spreads.emplace_back(kernel.layer, spread_of(kernel));
  }
  table.print(out, width, "  ");
  out << kWhatWaysAre;
  print_unquiet(out, spreads);
}

void print_kernels(std::ostream& out, const std::vector<KernelRow>& rows, std::optional<int> width) {
  if (rows.empty()) {
    out << "\nplan: no layer of this network can run in several ways\n";
    return;
  }
  const TwinColumns twins(rows);
  out << "\nplan: milliseconds of the way that a layer runs, "
      << (twins.twins() ? "of each that it could, and of its dense twins; even: the density from which on it is slower "
                          "than the twin\n"
                        : "and of each that it could\n");
  PlanColumns plan;
  for (const KernelRow& row : rows) plan.add(row.kernel);
  twins.add_to(plan.columns);
  Table table(plan.columns);
  std::vector<std::pair<std::string, double>> spreads;
  for (const KernelRow& row : rows) {
    std::vector<std::string> cells = plan.cells(row.kernel);
    const std::vector<std::string> more = twins.cells(row);
    std::copy(more.begin(), more.end(), cells.end() - static_cast<std::ptrdiff_t>(more.size()));
    table.add(std::move(cells));
    spreads.emplace_back(row.kernel.layer, spread_of(row));
  }
  table.print(out, width, "  ");
  out << kWhatWaysAre;
  print_unquiet(out, spreads);
}

void print_benchmark(std::ostream& out, const Experiment& experiment, const BenchmarkResult& result,
                     std::optional<int> width) {
  out << cpu_description() << "; oneDNN " << onednn::version() << "; " << num_threads()
      << (num_threads() == 1 ? " thread; " : " threads; ") << to_string(experiment.run.precision) << "\n"
      << std::fixed << std::setprecision(2);
  const PhaseResult &training = result.training, &inference = result.inference;
  print_phase(out, concat("training: milliseconds, batch ", training.batch, " of random images"), training,
              result.peak_gflops, width);
  print_phase(out,
              concat("inference: milliseconds, batch ", inference.batch, slice_text(inference), images_text(result)),
              inference, result.peak_gflops, width);
  print_twins(out, result);
  const std::string unquiet = unquiet_text("phases", spreads_of(result));
  if (!unquiet.empty()) out << "\n" << unquiet << "\n";
  out << "\npeak memory of the process " << result.peak_memory_bytes / (1 << 20) << " MiB\n" << std::defaultfloat;
}

void print_json_benchmark(std::ostream& out, const Experiment& experiment, const BenchmarkResult& result) {
  nlohmann::ordered_json json = {{"cpu", cpu_description()},
                                 {"onednn", onednn::version()},
                                 {"threads", num_threads()},
                                 {"precision", to_string(experiment.run.precision)},
                                 {"parameters", experiment.network().learned_count()},
                                 {"macs", experiment.network().macs()},
                                 {"peak_gflops", result.peak_gflops},
                                 {"peak_memory_bytes", result.peak_memory_bytes}};
  add_phase(json, "train", result.training);
  add_phase(json, "infer", result.inference);
  for (const BenchmarkTwin& twin : result.twins) {
    add_phase(json, "infer_" + twin.name, twin.phase);
    json["speedup_over_" + twin.name] = twin.phase.median_ms / result.inference.median_ms;
  }
  if (result.inference.batch != 0) {
    json["infer_split"] = result.split.empty() ? "random" : result.split;
    json["infer_images"] = result.images;
  }
  if (result.training.batch != 0) json["train_layers"] = layers_json(result.training);
  if (result.inference.batch != 0) json["infer_layers"] = layers_json(result.inference);
  for (const BenchmarkTwin& twin : result.twins) json["infer_" + twin.name + "_layers"] = layers_json(twin.phase);
  if (!result.kernels.empty()) json["plan"] = kernels_json(result.kernels);
  out << json_text(json) << "\n";
}

}  // namespace sluice
