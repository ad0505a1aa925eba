// Prints the history as curves.
#include <algorithm>
#include <cmath>
#include <ostream>

#include "core/base/curve.hpp"
#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/checkpoint/inspect_model.hpp"

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

void print_curve(std::ostream& out, const std::string& name, std::vector<double> values, std::vector<double> epochs,
                 int width) {
  drop_gaps(values, epochs);
  if (values.empty()) return;
  if (is_flop_reduction(name))  // a cost is 1 over it
    for (double& value : values) value = 1 / value;
  const auto text = [&](double value) { return shown_text(name, is_flop_reduction(name) ? 1 / value : value); };
  const std::string title = one_line(shown_name(name));
  const auto less = [](double a, double b) { return std::isfinite(a) && (!std::isfinite(b) || a < b); };
  const auto more = [](double a, double b) { return std::isfinite(b) && (!std::isfinite(a) || a < b); };
  const auto least = std::min_element(values.begin(), values.end(), less);
  const auto most = std::max_element(values.begin(), values.end(), more);
  if (!std::isfinite(*least)) return;
  const auto at = [&](auto value) {
    return metric_text("epoch", epochs[static_cast<std::size_t>(value - values.begin())]);
  };
  const std::string high = text(*most), low = text(*least);
  const bool all_finite = std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
  if (high == low && all_finite) {
    out << title << " " << low << (values.size() > 1 ? " in all epochs" : " at epoch " + at(least)) << "\n";
    return;
  }
  out << title << ": last " << text(values.back()) << ", lowest " << low << " at epoch " << at(least) << ", highest "
      << high << " at epoch " << at(most) << "\n";
  for (const std::string& line : labelled_curve(values, high, low, width)) out << line << "\n";
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
  for (const std::string& name : history.columns) {
    if (name != "epoch" && name != "step" && !is_of_layer(name))
      print_curve(out, name, column(history, name), epochs, columns);
  }
}

}  // namespace sluice::detail
