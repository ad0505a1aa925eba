#include "core/base/table.hpp"

#include <algorithm>
#include <numeric>
#include <ostream>

#include "core/base/printable.hpp"

namespace sluice {
namespace {

constexpr std::size_t kGap = 2;

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

std::vector<std::size_t> Table::widths() const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t width = characters(columns_[c].title);
    for (const auto& row : rows_) width = std::max(width, characters(row[c]));
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
    for (std::size_t c : shown) sum += widths[c] + (sum == 0 ? 0 : kGap);
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

std::string Table::line(const std::vector<std::string>& cells, const std::vector<std::size_t>& shown,
                        const std::vector<std::size_t>& widths) const {
  std::string text;
  for (std::size_t c : shown) {
    const std::string fill(widths[c] - characters(cells[c]), ' ');
    if (c != shown.front()) text += std::string(kGap, ' ');
    text += columns_[c].align == Align::kLeft ? cells[c] + fill : fill + cells[c];
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

void Table::print(std::ostream& out, std::optional<int> width, const std::string& indent) const {
  const std::vector<std::size_t> all = widths();
  const std::size_t room = width ? static_cast<std::size_t>(*width) : SIZE_MAX;
  const std::vector<std::size_t> shown = fitting(all, room - std::min(room, indent.size()));
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  out << indent << line(titles, shown, all) << "\n";
  for (const auto& row : rows_) out << indent << line(row, shown, all) << "\n";
  std::string missing;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    if (std::find(shown.begin(), shown.end(), c) == shown.end())
      missing += (missing.empty() ? "" : ", ") + columns_[c].title;
  }
  if (!missing.empty()) out << indent << "no room for: " << missing << "\n";
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
