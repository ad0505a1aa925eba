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

constexpr int kRows = 5, kMostColumns = 100, kLeastColumns = 10;

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

void print_curve(std::ostream& out, const std::string& name, const std::vector<double>& values,
                 const std::vector<double>& epochs, int width) {
  const auto less = [](double a, double b) { return std::isfinite(a) && (!std::isfinite(b) || a < b); };
  const auto more = [](double a, double b) { return std::isfinite(b) && (!std::isfinite(a) || a < b); };
  const auto least = std::min_element(values.begin(), values.end(), less);
  const auto most = std::max_element(values.begin(), values.end(), more);
  if (!std::isfinite(*least)) return;
  const auto at = [&](auto value) {
    return metric_text("epoch", epochs[static_cast<std::size_t>(value - values.begin())]);
  };
  const std::string high = metric_text(name, *most), low = metric_text(name, *least);
  out << one_line(name) << ": last " << metric_text(name, values.back()) << ", lowest " << low << " at epoch "
      << at(least) << ", highest " << high << " at epoch " << at(most) << "\n";
  const std::size_t label = std::max(high.size(), low.size());
  const int columns = std::clamp(width - static_cast<int>(label) - 4, kLeastColumns, kMostColumns);
  const std::vector<std::string> lines = draw_curve(values, columns, kRows);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string& text = i == 0 ? high : i + 1 == lines.size() ? low : std::string();
    out << "  " << std::string(label - text.size(), ' ') << text << " " << lines[i] << "\n";
  }
}

}  // namespace

void print_plots(std::ostream& out, const InspectedFile& file, int width) {
  const HistoryTable history = file.checkpoint ? file.checkpoint->history : HistoryTable{};
  if (history.rows.empty()) {
    out << "no history\n";
    return;
  }
  const std::vector<double> epochs = column(history, "epoch");
  for (const std::string& name : history.columns) {
    if (name != "epoch" && name != "step" && !is_of_layer(name))
      print_curve(out, name, column(history, name), epochs, width);
  }
}

}  // namespace sluice::detail
