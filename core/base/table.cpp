#include "core/base/table.hpp"

#include <algorithm>
#include <numeric>
#include <ostream>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/base/wrap.hpp"

namespace sluice {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kLeastWrapped = 16;  // characters of a column that wraps

std::size_t characters(const std::string& text) {
  return count_characters(text, text.size());
}

/// What a cell of Markdown may hold.
std::string markdown_cell(const std::string& text) {
  std::string cell;
  for (const char c : one_line(text)) {
    if (c == '|' || c == '\\' || c == '<' || c == '`' || c == '*' || c == '[') cell += '\\';
    cell += c;
  }
  return cell;
}

}  // namespace

void Table::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = one_line(cell);
  rows_.push_back(std::move(cells));
}

void Table::add_heading(const std::string& text) {
  rows_.push_back({one_line(text)});
}

std::vector<std::size_t> Table::widths() const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t width = characters(columns_[c].title);
    for (const auto& row : rows_)
      if (row.size() == columns_.size()) width = std::max(width, characters(row[c]));
    widths.push_back(width);
  }
  return widths;
}

/// The columns that are shown, in order.
std::vector<std::size_t> Table::fitting(const std::vector<std::size_t>& widths, std::size_t room) const {
  std::vector<std::size_t> shown(columns_.size());
  std::iota(shown.begin(), shown.end(), std::size_t{0});
  const auto taken = [&] {
    std::size_t sum = 0;
    for (std::size_t c : shown) {
      const bool wraps = columns_[c].wraps && c == shown.back();
      sum += (wraps ? std::min(widths[c], kLeastWrapped) : widths[c]) + (sum == 0 ? 0 : kGap);
    }
    return sum;
  };
  const auto less = [&](std::size_t a, std::size_t b) { return columns_[a].importance < columns_[b].importance; };
  while (!shown.empty() && taken() > room) {
    const auto last = std::min_element(shown.rbegin(), shown.rend(), less);
    if (columns_[*last].importance >= kAlways) break;
    shown.erase(std::next(last).base());
  }
  return shown;
}

/// One row, indented; more lines where its last cell wraps.
std::string Table::line(const std::vector<std::string>& cells, const Layout& layout) const {
  std::string text = layout.indent;
  if (cells.size() < columns_.size()) return text + cells.front();
  std::size_t begin = 0;  // of the last cell
  for (std::size_t c : layout.shown) {
    const std::string fill(layout.widths[c] - characters(cells[c]), ' ');
    if (c != layout.shown.front()) text += std::string(kGap, ' ');
    begin = characters(text);
    text += columns_[c].align == Align::kLeft ? cells[c] + fill : fill + cells[c];
  }
  text.erase(text.find_last_not_of(' ') + 1);
  const bool wraps = !layout.shown.empty() && columns_[layout.shown.back()].wraps;
  return wraps ? wrapped(text, layout.room, static_cast<int>(begin)) : text;
}

void Table::print(std::ostream& out, std::optional<int> width, const std::string& indent) const {
  Layout layout;
  layout.indent = indent;
  layout.room = width ? static_cast<std::size_t>(*width) : SIZE_MAX;
  layout.widths = widths();
  layout.shown = fitting(layout.widths, layout.room - std::min(layout.room, indent.size()));
  std::vector<std::string> titles;
  std::string missing;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    titles.push_back(columns_[c].title);
    if (std::find(layout.shown.begin(), layout.shown.end(), c) == layout.shown.end())
      missing += (missing.empty() ? "" : ", ") + columns_[c].title;
  }
  const bool titled =
      std::any_of(titles.begin(), titles.end(), [](const std::string& title) { return !title.empty(); });
  if (titled) out << line(titles, layout) << "\n";
  for (const auto& row : rows_) out << line(row, layout) << "\n";
  if (!missing.empty()) out << wrapped(concat(indent, "no room for: ", missing), layout.room) << "\n";
}

std::string markdown_table(const std::vector<Table::Column>& columns,
                           const std::vector<std::vector<std::string>>& rows) {
  std::string titles = "|", rule = "|", text;
  for (const Table::Column& column : columns) {
    titles += " " + markdown_cell(column.title) + " |";
    rule += column.align == Table::Align::kRight ? " ---: |" : " --- |";
  }
  for (const auto& row : rows) {
    text += "|";
    for (const std::string& cell : row) text += " " + markdown_cell(cell) + " |";
    text += "\n";
  }
  return titles + "\n" + rule + "\n" + text;
}

}  // namespace sluice
