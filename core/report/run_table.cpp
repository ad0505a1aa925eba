#include "core/report/run_table.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "core/base/error.hpp"
#include "core/base/units.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/config/number_in.hpp"
#include "core/config/text.hpp"
#include "core/train/metrics_text.hpp"

namespace sluice {
namespace {

bool same(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const std::optional<double> x = number_in(a), y = number_in(b);
  return x && y && *x == *y;
}

/// Values by run for each key, the keys in the order in which they first stood.
class Values {
 public:
  explicit Values(const std::vector<RunSummary>& runs) : runs_(runs.size()) {
    for (std::size_t run = 0; run < runs.size(); ++run) {
      if (runs[run].state != RunSummary::State::kUnreadable) readable_.push_back(run);
      for (const Section& section : runs[run].config.sections()) add(section, run);
    }
  }

  std::vector<Difference> differing() const {
    std::vector<Difference> found;
    for (const std::string& key : order_) {
      const std::vector<std::string>& values = values_.at(key);
      const bool equal = std::all_of(readable_.begin(), readable_.end(),
                                     [&](std::size_t run) { return same(values[run], values[readable_.front()]); });
      if (!equal) merge(found, key, values);
    }
    return found;
  }

 private:
  void add(const Section& section, std::size_t run) {
    for (const Entry& entry : section.entries()) {
      if (section.role_of(entry.key).role == KeyRole::kNothing) continue;
      const std::string key = section.name() + "." + entry.key;
      const auto [place, made] = values_.try_emplace(key, runs_);
      if (made) order_.push_back(key);
      place->second[run] = entry.value;
    }
  }

  /// All layers' keys of one name are one difference: every value that some layer has which differs.
  static void merge(std::vector<Difference>& found, const std::string& key, const std::vector<std::string>& values) {
    const bool of_layer = starts_with(key, "layer.");
    // Layers of another type have other keys: that they are of another type says it.
    if (of_layer && key.substr(key.rfind('.')) != ".type" && contains(values, "")) return;
    const std::string name = of_layer ? "layer.*" + key.substr(key.rfind('.')) : key;
    const auto before =
        std::find_if(found.begin(), found.end(), [&](const Difference& other) { return other.key == name; });
    if (before == found.end()) {
      found.push_back({name, values});
      return;
    }
    for (std::size_t run = 0; run < values.size(); ++run) {
      std::vector<std::string> seen = split_list(before->values[run]);
      if (!values[run].empty() && !contains(seen, values[run])) {
        seen.push_back(values[run]);
        before->values[run] = join(seen);
      }
    }
  }

  std::size_t runs_;
  std::vector<std::size_t> readable_;  // what a configuration that cannot be read has is unknown
  std::vector<std::string> order_;
  std::map<std::string, std::vector<std::string>> values_;
};

/// Columns of metrics.csv about one evaluation of the whole network.
bool is_of_evaluation(const std::string& column) {
  return (starts_with(column, "val_") || starts_with(column, "test_")) && column.find('/') == std::string::npos;
}

int importance_of(const std::string& metric) {
  if (is_accuracy(metric)) return 90;
  if (is_density(metric)) return 85;
  if (is_flop_reduction(metric)) return 82;
  if (ends_with(metric, "_loss")) return 80;
  if (ends_with(metric, "_average_bits")) return 78;
  if (ends_with(metric, "_macs_executed")) return 70;
  return 40;
}

/// A metric of the best epoch. A run whose network has no gates executes all of its multiply-adds: a cost of 100 %.
double value_of(const RunSummary& run, const std::string& metric) {
  const double value = run.metrics.value(*run.best, metric);
  if (!std::isnan(value) || !is_flop_reduction(metric)) return value;
  const std::string set = metric.substr(0, metric.find('_') + 1);
  return std::isnan(run.metrics.value(*run.best, set + "macs_executed")) ? value : 1;
}

Cell metric_cell(const std::string& metric, double value) {
  if (std::isnan(value)) return {};
  Cell cell{value, shown_text(metric, value)};
  if (is_flop_reduction(metric)) cell.shown = 1 / value;
  return cell;
}

Cell value_cell(const std::string& text) {
  if (const std::optional<double> number = number_in(text)) return {*number, text};
  return {text, text};
}

/// How many values a key has; of a key that some have and others do not those that it has somewhere.
std::size_t values_of(const Difference& difference) {
  std::set<std::string> values(difference.values.begin(), difference.values.end());
  values.erase("");
  return values.size();
}

/// Of each difference: the key with the most values stands among what came of the runs, the next one behind all of
/// that, and others where there is room. Of equal ones what was set for the training says more than what layers are.
std::vector<int> importances_of(const std::vector<Difference>& all) {
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto more = [&](std::size_t a, std::size_t b) {
    const auto key = [&](std::size_t i) { return std::pair(values_of(all[i]), !starts_with(all[i].key, "layer.")); };
    return key(a) > key(b);
  };
  std::stable_sort(order.begin(), order.end(), more);
  std::vector<int> importances(all.size());
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const bool differs = values_of(all[order[rank]]) > 1;
    importances[order[rank]] = !differs ? 44 : rank == 0 ? 88 : rank == 1 ? 65 : 48;
  }
  return importances;
}

std::vector<std::string> metrics_of(const std::vector<RunSummary>& runs) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (!contains(names, name)) names.push_back(name);
  };
  for (const RunSummary& run : runs)
    if (!run.watched.empty()) add(run.watched);
  for (const RunSummary& run : runs)
    for (const std::string& column : run.metrics.columns)
      if (is_of_evaluation(column)) add(column);
  return names;
}

/// "lr" for "optimizer.lr" where no other column ends alike.
std::string short_title(const std::string& key, const std::vector<Difference>& all) {
  const std::string name = key.substr(key.rfind('.') + 1);
  if (contains({"run", "state", "epochs", "accuracy", "loss", "density", "time"}, name)) return key;
  const auto alike = std::count_if(all.begin(), all.end(), [&](const Difference& other) {
    return other.key.substr(other.key.rfind('.') + 1) == name;
  });
  return alike == 1 ? name : key;
}

/// "accuracy" for "val_accuracy" where all metrics are of one set; "density" for its only density.
std::string short_metric(const std::string& metric, const std::vector<std::string>& all) {
  const std::string set = metric.substr(0, metric.find('_') + 1);
  const bool one =
      std::all_of(all.begin(), all.end(), [&](const std::string& other) { return starts_with(other, set); });
  const std::string prefix = one ? "" : set, name = metric.substr(set.size());
  const auto densities = std::count_if(all.begin(), all.end(), [&](const std::string& other) {
    return starts_with(other, set) && ends_with(other, "_density");
  });
  return prefix + (ends_with(metric, "_density") && densities == 1 ? "density" : shown_name(name));
}

/// The set of a metric: "validation" of "val_accuracy", "test"; empty for others.
std::string split_of(const std::string& metric) {
  if (starts_with(metric, "val_")) return "validation";
  return starts_with(metric, "test_") ? "test" : "";
}

/// Images by which the best epoch was chosen; nothing where the run does not say how many there are.
std::optional<std::int64_t> images_of(const RunSummary& run) {
  const Section* const data = run.config.find("data");
  const Entry* const held_out = data != nullptr ? data->find("validation") : nullptr;
  if (held_out == nullptr || split_of(run.watched) != "validation") return std::nullopt;
  return detail::parse_integer(held_out->value);
}

/// What the metrics are of, where they are all of one set.
std::string title_of(const std::vector<RunSummary>& runs, const std::vector<std::string>& metrics) {
  const std::string split = metrics.empty() ? "" : split_of(metrics.front());
  const auto of_it = [&](const std::string& metric) { return split_of(metric) == split; };
  if (metrics.empty() || !std::all_of(metrics.begin(), metrics.end(), of_it)) return "";
  std::set<std::optional<std::int64_t>> counts;
  for (const RunSummary& run : runs)
    if (!run.watched.empty()) counts.insert(images_of(run));
  const bool known = counts.size() == 1 && *counts.begin();
  return concat("metrics: of the best epoch, on ",
                known ? counted(**counts.begin(), split + " image") : split + " images");
}

/// "3", "2.375" where it was evaluated within an epoch.
Cell epoch_cell(double epoch) {
  return number_cell(epoch, epoch == std::floor(epoch) ? 0 : 3);
}

std::vector<Cell> row_of(const RunSummary& run, std::size_t index, const std::vector<Difference>& different,
                         const std::vector<std::string>& metrics) {
  std::vector<Cell> row = {text_cell(run.directory), text_cell(to_string(run.state))};
  const bool known = run.state != RunSummary::State::kUnreadable;
  const Cell done = known ? count_cell(run.epochs_done()) : Cell{},
             wanted = run.epochs > 0 ? count_cell(run.epochs) : Cell{};
  row.push_back({done.value, wanted.value ? concat(done.text, "/", wanted.text) : done.text});
  row.push_back(wanted);
  row.push_back(run.best ? epoch_cell(run.metrics.value(*run.best, "epoch")) : Cell{});
  for (const std::string& metric : metrics)
    row.push_back(run.best ? metric_cell(metric, value_of(run, metric)) : Cell{});
  const std::string split = split_of(run.watched);
  const std::optional<std::int64_t> images = images_of(run);
  row.push_back(split.empty() ? Cell{} : text_cell(split));
  row.push_back(images ? count_cell(*images) : Cell{});
  row.push_back(known ? hours_cell(run.hours()) : Cell{});
  const double rate = run.metrics.last("images_per_second");
  row.push_back(std::isnan(rate) ? Cell{} : number_cell(rate, 0));
  for (const Difference& difference : different) row.push_back(value_cell(difference.values[index]));
  return row;
}

}  // namespace

std::vector<Difference> differences(const std::vector<RunSummary>& runs) {
  return Values(runs).differing();
}

Records runs_table(const std::vector<RunSummary>& runs) {
  const std::vector<Difference> different = differences(runs);
  const std::vector<std::string> metrics = metrics_of(runs);
  Records records;
  records.title = title_of(runs, metrics);
  records.rows_are = "runs";
  records.columns = {{"run", "run", Table::Align::kLeft, Table::kAlways, Table::Narrow::kCutsPaths},
                     {"state", "state", Table::Align::kLeft, 95},
                     {"epochs", "epochs", Table::Align::kRight, 55},
                     {"epochs_wanted", "epochs wanted", Table::Align::kRight, 0},
                     {"best_epoch", "best at", Table::Align::kRight, 35}};
  for (const std::string& metric : metrics) {
    const int importance = contains(metrics, complement_of(metric)) ? 0 : importance_of(metric);
    records.columns.push_back({metric, short_metric(metric, metrics), Table::Align::kRight, importance});
  }
  records.columns.insert(records.columns.end(), {{"split", "split", Table::Align::kLeft, 0},
                                                 {"images", "images", Table::Align::kRight, 0},
                                                 {"hours", "time", Table::Align::kRight, 75},
                                                 {"images_per_second", "images/s", Table::Align::kRight, 10}});
  const std::vector<int> importances = importances_of(different);
  for (std::size_t i = 0; i < different.size(); ++i)
    records.columns.push_back({different[i].key, short_title(different[i].key, different), Table::Align::kRight,
                               importances[i], Table::Narrow::kCutsFirst});
  for (std::size_t i = 0; i < runs.size(); ++i) records.rows.push_back(row_of(runs[i], i, different, metrics));
  return records;
}

void add_key_column(Records& records, const std::vector<RunSummary>& runs, const std::string& key) {
  const std::size_t dot = key.rfind('.');
  if (dot == std::string::npos || records.find(key)) return;
  std::vector<Cell> cells;
  for (const RunSummary& run : runs) {
    const Section* const section = run.config.find(key.substr(0, dot));
    const Entry* const entry = section != nullptr ? section->find(key.substr(dot + 1)) : nullptr;
    cells.push_back(entry != nullptr ? value_cell(entry->value) : Cell{});
  }
  if (std::none_of(cells.begin(), cells.end(), [](const Cell& cell) { return cell.value.has_value(); })) return;
  records.columns.push_back({key, key, Table::Align::kRight, 0});
  for (std::size_t i = 0; i < cells.size(); ++i) records.rows[i].push_back(cells[i]);
}

}  // namespace sluice
