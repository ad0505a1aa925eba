#include "core/base/table.hpp"

#include <algorithm>
#include <numeric>
#include <ostream>
#include <set>
#include <string_view>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/base/wrap.hpp"

namespace sluice {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kLeastWrapped = 16;  // characters of a column that wraps
constexpr std::size_t kLeastCut = 12;      // of one whose names are cut
constexpr std::string_view kCutMark = "...";
constexpr std::size_t kFoldIndent = 2;  // of figures below their name

bool is_name(const Table::Column& column) {
  return column.narrow == Table::Narrow::kCuts || column.narrow == Table::Narrow::kCutsPaths;
}

bool cuts(const Table::Column& column) {
  return is_name(column) || column.narrow == Table::Narrow::kCutsFirst;
}

template <class List, class Item>
bool holds(const List& list, const Item& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

std::size_t characters(const std::string& text) {
  return count_characters(text, text.size());
}

/// Where the character of this index begins.
std::size_t byte_at(const std::string& text, std::size_t index) {
  std::size_t at = 0;
  for (; index > 0; --index) at += character_at(text, at).bytes;
  return at;
}

/// `name` in `width` characters, of which `front` stand before the dots; a shorter one as it is.
std::string cut(const std::string& name, std::size_t width, std::size_t front) {
  const std::size_t length = characters(name);
  if (length <= width) return name;
  const std::size_t back = width - kCutMark.size() - front;
  return name.substr(0, byte_at(name, front)).append(kCutMark) + name.substr(byte_at(name, length - back));
}

bool tells_apart(const std::set<std::string>& names, std::size_t width, std::size_t front) {
  std::set<std::string> seen;
  return std::all_of(names.begin(), names.end(),
                     [&](const std::string& name) { return seen.insert(cut(name, width, front)).second; });
}

/// The characters before the dots, as near to the middle as can be, with which names that differ stay different;
/// nothing where they do not.
std::optional<std::size_t> telling_front(const std::set<std::string>& names, std::size_t width) {
  const std::size_t kept = width - kCutMark.size(), middle = kept / 2;
  for (std::size_t off = 0; off <= kept - middle; ++off) {
    if (off <= middle && tells_apart(names, width, middle - off)) return middle - off;
    if (tells_apart(names, width, middle + off)) return middle + off;
  }
  return std::nullopt;
}

/// The least width, from `least` on, at which cut names that differ look different: at most that of the longest one.
std::size_t telling_width(const std::set<std::string>& names, std::size_t least) {
  std::size_t width = least;
  while (!telling_front(names, width)) ++width;
  return width;
}

/// Characters of the longest word.
std::size_t longest_word(const std::vector<std::string>& cells) {
  std::size_t longest = 0;
  for (const std::string& cell : cells) {
    for (std::size_t at = 0; at < cell.size();) {
      const std::size_t end = std::min(cell.find(' ', at), cell.size());
      longest = std::max(longest, characters(cell.substr(at, end - at)));
      at = end + 1;
    }
  }
  return longest;
}

/// A cell that begins at `begin` on lines of `room` characters: broken between words, and words that have no room cut.
std::string within(const std::string& cell, std::size_t begin, std::size_t room) {
  const std::size_t width = std::max(kLeastCut, room - std::min(room, begin));
  const std::string lines = wrapped(cell, width, 0);
  std::string text;
  for (std::size_t at = 0; at <= lines.size();) {
    const std::size_t end = std::min(lines.find('\n', at), lines.size());
    text += (at == 0 ? "" : "\n" + std::string(begin, ' ')) +
            cut(lines.substr(at, end - at), width, (width - kCutMark.size()) / 2);
    at = end + 1;
  }
  return text;
}

/// Of titles that two lines do not hold those that one does.
std::string no_room_for(const std::vector<std::string>& titles, const std::string& indent, std::size_t room) {
  constexpr std::size_t kLines = 2;
  std::string all = indent + "no room for: ", first;
  for (std::size_t i = 0; i < titles.size(); ++i) {
    all += (i == 0 ? "" : ", ") + titles[i];
    const std::string fewer = concat(all, " and ", titles.size() - i - 1, " more");
    if (i == 0 || characters(fewer) <= room) first = fewer;
  }
  return characters(all) <= kLines * room ? all : first;
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

/// Without headings, and without what the column is shown without.
std::vector<std::string> Table::cells_of(std::size_t column, const Layout& layout) const {
  std::vector<std::string> cells;
  for (const auto& row : rows_)
    if (row.size() == columns_.size()) cells.push_back(layout.shared[column].rest_of(row[column]));
  return cells;
}

std::vector<std::size_t> Table::whole_widths(const Layout& layout) const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t width = characters(columns_[c].title);
    for (const std::string& cell : cells_of(c, layout)) width = std::max(width, characters(cell));
    widths.push_back(width);
  }
  return widths;
}

/// The width at which a column's cells still tell rows apart.
std::size_t Table::told_width(std::size_t column, const Layout& layout, std::size_t least) const {
  const std::vector<std::string> cells = cells_of(column, layout);
  return telling_width({cells.begin(), cells.end()}, std::max({least, kLeastCut, characters(columns_[column].title)}));
}

std::size_t Table::names(const Layout& layout) const {
  return static_cast<std::size_t>(
      std::count_if(layout.shown.begin(), layout.shown.end(), [this](std::size_t c) { return is_name(columns_[c]); }));
}

/// Of columns that cut their cells: no less than tells rows apart, and names keep their part of the room, a third of it
/// for one column of them, a quarter for each of two.
std::vector<std::size_t> Table::least_widths(const Layout& layout, std::size_t room) const {
  std::vector<std::size_t> widths = layout.widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    if (!cuts(columns_[c])) continue;
    const std::size_t part = is_name(columns_[c]) ? room / (names(layout) + 2) : 0;
    widths[c] = std::min(widths[c], told_width(c, layout, part));
  }
  return widths;
}

/// Names that would take more than two thirds of the room before they tell rows apart (two columns of them: half of it)
/// stand above their figures.
void Table::fold(Layout& layout, std::size_t room) const {
  if (layout.shown.empty()) return;
  const std::size_t first = layout.shown.front(), told = told_width(first, layout, 0);
  layout.folded = is_name(columns_[first]) && columns_[first].importance >= kAlways &&
                  std::min(layout.widths[first], told) > 2 * room / (names(layout) + 2);
  if (layout.folded) layout.widths[first] = std::min(layout.widths[first], std::max(room, told));
}

/// Characters of a line without its indent.
std::size_t Table::taken(const Layout& layout, const std::vector<std::size_t>& widths) const {
  std::size_t sum = 0;
  for (const std::size_t c : layout.in_line()) {
    const bool wraps = columns_[c].narrow == Narrow::kWraps && c == layout.shown.back();
    sum += (wraps ? std::min(widths[c], kLeastWrapped) : widths[c]) + (sum == 0 ? 0 : kGap);
  }
  return sum;
}

/// Columns below an importance make way until lines fit.
void Table::drop(Layout& layout, const std::vector<std::size_t>& widths, int importance, std::size_t room) const {
  std::vector<std::size_t>& shown = layout.shown;
  const auto less = [&](std::size_t a, std::size_t b) { return columns_[a].importance < columns_[b].importance; };
  while (!shown.empty() && taken(layout, widths) > room) {
    const auto last = std::min_element(shown.rbegin(), shown.rend(), less);
    if (columns_[*last].importance >= importance) return;
    shown.erase(std::next(last).base());
  }
}

/// Columns that say the same in all rows make way for one line that says it.
void Table::say_once(Layout& layout) const {
  if (rows_are_.empty()) return;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    const std::vector<std::string> cells = cells_of(c, layout);
    const std::set<std::string> different(cells.begin(), cells.end());
    if (columns_[c].importance < kAlways && cells.size() > 1 && different.size() == 1 && !cells.front().empty())
      layout.said.push_back(c);
  }
  std::vector<std::size_t>& shown = layout.shown;
  shown.erase(std::remove_if(shown.begin(), shown.end(), [&](std::size_t c) { return holds(layout.said, c); }),
              shown.end());
}

void Table::cut_values(Layout& layout) const {
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    if (columns_[c].narrow != Narrow::kCutsFirst) continue;
    layout.widths[c] = std::min(layout.widths[c], told_width(c, layout, 0));
  }
}

void Table::fit(Layout& layout, std::size_t room) const {
  if (taken(layout, layout.widths) <= room) return;
  say_once(layout);
  for (std::size_t c = 0; c < columns_.size(); ++c)
    if (columns_[c].narrow == Narrow::kCutsPaths) layout.shared[c] = shared_path(cells_of(c, layout));
  const std::vector<std::size_t> whole = layout.widths = whole_widths(layout);
  cut_values(layout);
  fold(layout, room);
  if (layout.folded) room -= std::min(room, kFoldIndent);
  drop(layout, layout.widths, kFigure, room);
  std::vector<std::size_t> least = least_widths(layout, room);
  drop(layout, least, kAlways, room);
  if (taken(layout, least) > room) least = least_widths(layout, 0);  // nothing is left that may go
  // What is left is for columns that are narrower than one that went after them, and for names.
  std::vector<std::size_t> gone;
  for (std::size_t c = 0; c < columns_.size(); ++c)
    if (!holds(layout.shown, c) && !holds(layout.said, c)) gone.push_back(c);
  std::stable_sort(gone.begin(), gone.end(),
                   [this](std::size_t a, std::size_t b) { return columns_[a].importance > columns_[b].importance; });
  for (const std::size_t c : gone) {
    Layout more = layout;
    more.shown.insert(std::upper_bound(more.shown.begin(), more.shown.end(), c), c);
    if (taken(more, columns_[c].importance < kFigure ? layout.widths : least) <= room) layout = more;
  }
  std::size_t spare = room - std::min(room, taken(layout, least));
  if (!layout.shown.empty() && columns_[layout.shown.back()].narrow == Narrow::kWraps) {
    // Its words, too, go before names.
    const std::size_t longest = longest_word(cells_of(layout.shown.back(), layout));
    spare -= std::min(spare, longest - std::min(longest, kLeastWrapped));
  }
  for (const std::size_t c : layout.in_line()) {
    if (!cuts(columns_[c])) continue;
    const std::size_t more = std::min(spare, whole[c] - least[c]);
    layout.widths[c] = least[c] + more;
    spare -= more;
  }
}

/// One row, indented; more lines where its name stands above it, or its last cell wraps.
std::string Table::line(const std::vector<std::string>& cells, const Layout& layout) const {
  if (cells.size() < columns_.size()) return layout.indent + cells.front();
  std::string text = layout.indent + std::string(layout.folded ? kFoldIndent : 0, ' ');
  const std::vector<std::size_t> in_line = layout.in_line();
  for (const std::size_t c : in_line) {
    const std::string& cell = cells[c];
    if (c != in_line.front()) text += std::string(kGap, ' ');
    if (c == in_line.back() && columns_[c].narrow == Narrow::kWraps) {
      text += within(cell, characters(text), layout.room);
      break;
    }
    const std::string fill(layout.widths[c] - characters(cell), ' ');
    text += columns_[c].align == Align::kLeft ? cell + fill : fill + cell;
  }
  text.erase(text.find_last_not_of(' ') + 1);
  if (!layout.folded) return text;
  return concat(layout.indent, cells[layout.shown.front()], text.empty() ? "" : "\n", text);
}

/// What all rows have; empty where every column stands for itself.
std::string Table::heading(const Layout& layout) const {
  std::string text;
  for (const std::size_t c : layout.said)
    text += concat(text.empty() ? "" : ", ", columns_[c].title, " ", cells_of(c, layout).front());
  return text.empty() ? text : wrapped(concat(layout.indent, "all ", rows_are_, ": ", text), layout.room) + "\n";
}

/// What is not shown; empty where all is.
std::string Table::notes(const Layout& layout) const {
  std::string text;
  std::vector<std::string> missing;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    const std::string& title = columns_[c].title;
    const SharedPath& shared = layout.shared[c];
    if (holds(layout.said, c)) continue;
    if (!holds(layout.shown, c))
      missing.push_back(title);
    else if (!shared.empty())
      text += wrapped(concat(layout.indent, title, ": ", shared.front, "*", shared.back), layout.room) + "\n";
  }
  if (!missing.empty()) text += wrapped(no_room_for(missing, layout.indent, layout.room), layout.room) + "\n";
  return text;
}

void Table::print(std::ostream& out, std::optional<int> width, const std::string& indent) const {
  Layout layout;
  layout.indent = indent;
  layout.room = width ? static_cast<std::size_t>(*width) : SIZE_MAX;
  layout.shown.resize(columns_.size());
  std::iota(layout.shown.begin(), layout.shown.end(), std::size_t{0});
  layout.shared.resize(columns_.size());
  layout.widths = whole_widths(layout);
  fit(layout, layout.room - std::min(layout.room, indent.size()));
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  const bool titled =
      std::any_of(titles.begin(), titles.end(), [](const std::string& title) { return !title.empty(); });
  out << heading(layout);
  if (titled) out << line(titles, layout) << "\n";
  std::vector<std::size_t> fronts;  // by column
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    const std::vector<std::string> cells = cells_of(c, layout);
    const std::size_t most = std::max(layout.widths[c], kLeastCut), middle = (most - kCutMark.size()) / 2;
    fronts.push_back(cuts(columns_[c]) ? telling_front({cells.begin(), cells.end()}, most).value_or(middle) : 0);
  }
  for (std::vector<std::string> row : rows_) {
    for (std::size_t c = 0; row.size() == columns_.size() && c < row.size(); ++c) {
      row[c] = layout.shared[c].rest_of(row[c]);
      if (cuts(columns_[c])) row[c] = cut(row[c], layout.widths[c], fronts[c]);
    }
    out << line(row, layout) << "\n";
  }
  out << notes(layout);
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
