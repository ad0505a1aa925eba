// Prints the history as curves.
#include <algorithm>
#include <cmath>
#include <ostream>

#include "core/base/curve.hpp"
#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/base/units.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/checkpoint/inspect_model.hpp"
#include "core/config/text.hpp"

namespace sluice::detail {
namespace {

constexpr int kUsualWidth = 80;

/// A column, or its place in the table where it is missing.
std::vector<double> column(const HistoryTable& history, const std::string& name) {
  const auto found = std::find(history.columns.begin(), history.columns.end(), name);
  std::vector<double> values;
  for (std::size_t row = 0; row < history.rows.size(); ++row) {
    values.push_back(found == history.columns.end()
                         ? static_cast<double>(row + 1)
                         : history.rows[row][static_cast<std::size_t>(found - history.columns.begin())]);
  }
  return values;
}

/// Leaves out the rows without a value: not every row measures everything.
void drop_gaps(std::vector<double>& values, std::vector<double>& epochs) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) continue;
    epochs[kept] = epochs[i];
    values[kept++] = values[i];
  }
  values.resize(kept);
  epochs.resize(kept);
}

/// What is drawn of a history.
struct Curve {
  std::string name;
  std::vector<double> values;
  double dense = 0;  ///< multiply-adds, where these are of all

  /// Of a value, with its share of the dense work.
  std::string text(double value) const {
    if (is_work(name)) return executed_text(value, dense);
    return shown_text(name, is_flop_reduction(name) ? 1 / value : value);
  }
  std::string label(double value) const { return is_work(name) ? metric_text(name, value) : text(value); }
};

/// The multiply-adds of a dense image: executed ones times what they are reduced by; 0 where the history does not say.
double dense_work(const std::vector<double>& executed, const std::vector<double>& reduction) {
  for (std::size_t i = 0; i < std::min(executed.size(), reduction.size()); ++i) {
    if (std::isfinite(executed[i] * reduction[i])) return executed[i] * reduction[i];
  }
  return 0;
}

/// The whole network's columns, each figure once: a cost stands beside its multiply-adds, a sparsity is 1 - density.
std::vector<Curve> curves_of(const HistoryTable& history) {
  const auto has = [&](const std::string& name) { return contains(history.columns, name); };
  std::vector<Curve> curves;
  std::vector<std::string> beside;  // of work
  for (const std::string& name : history.columns)
    if (is_work(name)) beside.push_back(cost_beside(name));
  for (const std::string& name : history.columns) {
    if (name == "epoch" || name == "step" || is_of_layer(name) || has(complement_of(name)) || contains(beside, name))
      continue;
    curves.push_back({name, column(history, name)});
    Curve& curve = curves.back();
    if (is_work(name) && has(cost_beside(name)))
      curve.dense = dense_work(curve.values, column(history, cost_beside(name)));
    if (is_flop_reduction(name))  // a cost is 1 over it
      for (double& value : curve.values) value = 1 / value;
  }
  return curves;
}

void print_curve(std::ostream& out, Curve curve, std::vector<double> epochs, int width) {
  std::vector<double>& values = curve.values;
  drop_gaps(values, epochs);
  if (values.empty()) return;
  const std::string title = one_line(shown_name(curve.name));
  const auto less = [](double a, double b) { return std::isfinite(a) && (!std::isfinite(b) || a < b); };
  const auto more = [](double a, double b) { return std::isfinite(b) && (!std::isfinite(a) || a < b); };
  const auto least = std::min_element(values.begin(), values.end(), less);
  const auto most = std::max_element(values.begin(), values.end(), more);
  if (!std::isfinite(*least)) return;
  const auto at = [&](auto value) {
    return metric_text("epoch", epochs[static_cast<std::size_t>(value - values.begin())]);
  };
  const std::string high = curve.text(*most), low = curve.text(*least);
  const bool all_finite = std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
  if (high == low && all_finite) {
    out << title << " " << low << (values.size() > 1 ? " in all epochs" : " at epoch " + at(least)) << "\n";
    return;
  }
  out << title << ": last " << curve.text(values.back()) << ", lowest " << low << " at epoch " << at(least)
      << ", highest " << high << " at epoch " << at(most) << "\n";
  for (const std::string& line : labelled_curve(values, curve.label(*most), curve.label(*least), width))
    out << line << "\n";
}

}  // namespace

void print_plots(std::ostream& out, const InspectedFile& file, Width width) {
  const HistoryTable history = file.checkpoint ? file.checkpoint->history : HistoryTable{};
  if (history.rows.empty()) {
    out << "no history\n";
    return;
  }
  const std::vector<double> epochs = column(history, "epoch");
  const int columns = width.value_or(kUsualWidth);
  for (const Curve& curve : curves_of(history)) print_curve(out, curve, epochs, columns);
}

}  // namespace sluice::detail
