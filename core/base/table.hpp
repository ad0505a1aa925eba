// Tables of text for people: aligned columns, of which the less important ones make way where a line has no room.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "core/base/shorten.hpp"

namespace sluice {

class Table {
 public:
  enum class Align { kLeft, kRight };
  /// What becomes of cells that a line has no room for.
  enum class Narrow {
    kNever,      ///< they stay whole
    kWraps,      ///< of the last column that is shown: they are broken between words
    kCuts,       ///< names: the middle of long ones makes way, down to a third of a line
    kCutsPaths,  ///< the same, after the folders that all begin with and the names that all end with
    kCutsFirst   ///< values: their middle makes way, before any column goes
  };
  /// Columns of this importance stay, whatever room there is.
  static constexpr int kAlways = 1000;
  /// Names are cut before a column of this importance makes way.
  static constexpr int kFigure = 50;
  struct Column {
    std::string title;
    Align align = Align::kRight;
    int importance = kAlways;
    Narrow narrow = Narrow::kNever;
  };

  /// Where all titles are empty there is no line of titles.
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// What the rows are, "runs": where a line has no room, cells that are the same in all of several rows are said once,
  /// above the titles: "all runs: state finished".
  void name_rows(const std::string& plural) { rows_are_ = plural; }
  /// A row; cells that it lacks are empty. What would act on a terminal is escaped.
  void add(std::vector<std::string> cells);
  /// A line between the rows, as wide as it likes.
  void add_heading(const std::string& text);
  bool empty() const { return rows_.empty(); }

  /// Lines of at most `width` characters as far as the columns that stay allow it: of the others the least important go
  /// first (of equal ones the last). Lines below name them, and say what paths were left without. Cells of a column
  /// that differ look different, also cut: names that need too much of a line for that stand above their figures.
  void print(std::ostream& out, std::optional<int> width, const std::string& indent = "") const;

 private:
  /// How all rows stand.
  struct Layout {
    std::string indent;
    std::size_t room = 0;             ///< characters of a line
    std::vector<std::size_t> shown;   ///< columns
    std::vector<std::size_t> said;    ///< columns that the line above the titles stands for
    std::vector<SharedPath> shared;   ///< by column: what cells are shown without
    std::vector<std::size_t> widths;  ///< by column, in characters
    bool folded = false;              ///< the first column stands on a line above the others

    std::vector<std::size_t> in_line() const {
      return {shown.begin() + (folded && !shown.empty() ? 1 : 0), shown.end()};
    }
  };
  std::vector<std::string> cells_of(std::size_t column, const Layout& layout) const;
  std::vector<std::size_t> whole_widths(const Layout& layout) const;
  std::size_t told_width(std::size_t column, const Layout& layout, std::size_t least) const;
  std::size_t names(const Layout& layout) const;
  std::vector<std::size_t> least_widths(const Layout& layout, std::size_t room) const;
  void fold(Layout& layout, std::size_t room) const;
  std::size_t taken(const Layout& layout, const std::vector<std::size_t>& widths) const;
  void drop(Layout& layout, const std::vector<std::size_t>& widths, int importance, std::size_t room) const;
  void say_once(Layout& layout) const;
  void cut_values(Layout& layout) const;
  void fit(Layout& layout, std::size_t room) const;
  std::string line(const std::vector<std::string>& cells, const Layout& layout) const;
  std::string heading(const Layout& layout) const;
  std::string notes(const Layout& layout) const;

  std::string rows_are_;
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;  ///< of `columns_` cells, or a heading
};

/// The rows as a table of Markdown.
std::string markdown_table(const std::vector<Table::Column>& columns,
                           const std::vector<std::vector<std::string>>& rows);

}  // namespace sluice
