// Tables of text for people: aligned columns, of which the less important ones make way where a line has no room.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

class Table {
 public:
  enum class Align { kLeft, kRight };
  /// Columns of this importance stay, whatever room there is.
  static constexpr int kAlways = 1000;
  struct Column {
    std::string title;
    Align align = Align::kRight;
    int importance = kAlways;
    bool wraps =
        false;  ///< where it is the last one that is shown: its cells are broken between words rather than cut off
  };

  /// Where all titles are empty there is no line of titles.
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// A row; cells that it lacks are empty. What would act on a terminal is escaped.
  void add(std::vector<std::string> cells);
  /// A line between the rows, as wide as it likes.
  void add_heading(const std::string& text);
  bool empty() const { return rows_.empty(); }

  /// Lines of at most `width` characters as far as the columns that stay allow it: of the others the least important go
  /// first (of equal ones the last), and a line below names them. No cell is cut; one that `wraps` takes several lines.
  void print(std::ostream& out, std::optional<int> width, const std::string& indent = "") const;

 private:
  /// How all rows stand.
  struct Layout {
    std::string indent;
    std::vector<std::size_t> shown;   ///< columns
    std::vector<std::size_t> widths;  ///< of all columns, in characters
    std::size_t room = 0;             ///< characters of a line
  };
  std::vector<std::size_t> widths() const;
  std::vector<std::size_t> fitting(const std::vector<std::size_t>& widths, std::size_t room) const;
  std::string line(const std::vector<std::string>& cells, const Layout& layout) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;  ///< of `columns_` cells, or a heading
};

/// The rows as a table of Markdown.
std::string markdown_table(const std::vector<Table::Column>& columns,
                           const std::vector<std::vector<std::string>>& rows);

}  // namespace sluice
