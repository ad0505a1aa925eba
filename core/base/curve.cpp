#include "core/base/curve.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sluice {
namespace {

/// Dots that can be set, row by row.
class Dots {
 public:
  Dots(int columns, int rows) : columns_(columns), rows_(rows), cells_(static_cast<std::size_t>(columns * rows), 0) {}

  int width() const { return 2 * columns_; }
  int height() const { return 4 * rows_; }

  /// y counts from below.
  void set(int x, int y) {
    // A cell's dots are bits: down the left column, then the right one, but for the lowest two, which came later.
    static constexpr unsigned kBits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    const int from_top = height() - 1 - y;
    cells_[static_cast<std::size_t>(from_top / 4 * columns_ + x / 2)] |= kBits[from_top % 4][x % 2];
  }

  std::vector<std::string> lines() const {
    std::vector<std::string> lines(static_cast<std::size_t>(rows_));
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      std::string& line = lines[i / static_cast<std::size_t>(columns_)];
      const unsigned cell = cells_[i];
      // U+2800 and the dots, in UTF-8.
      line += {'\xE2', static_cast<char>(0xA0 | cell >> 6), static_cast<char>(0x80 | (cell & 0x3F))};
    }
    return lines;
  }

 private:
  int columns_, rows_;
  std::vector<unsigned> cells_;
};

struct Point {
  int x = 0, y = 0;
};

void draw_line(Dots& dots, const Point& from, const Point& to) {
  const int steps = std::max({std::abs(to.x - from.x), std::abs(to.y - from.y), 1});
  for (int i = 0; i <= steps; ++i) {
    const double share = static_cast<double>(i) / steps;
    dots.set(static_cast<int>(std::lround(from.x + share * (to.x - from.x))),
             static_cast<int>(std::lround(from.y + share * (to.y - from.y))));
  }
}

}  // namespace

std::vector<std::string> draw_curve(const std::vector<double>& values, int columns, int rows) {
  Dots dots(columns, rows);
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  Point before;
  bool goes_on = false;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      goes_on = false;
      continue;
    }
    // Halves, so that no difference of two numbers overflows.
    const double along = values.size() > 1 ? static_cast<double>(i) / static_cast<double>(values.size() - 1) : 0;
    const double up = high > low ? (values[i] / 2 - low / 2) / (high / 2 - low / 2) : 0;
    const Point point = {static_cast<int>(std::lround(along * (dots.width() - 1))),
                         static_cast<int>(std::lround(up * (dots.height() - 1)))};
    draw_line(dots, goes_on ? before : point, point);
    before = point;
    goes_on = true;
  }
  return dots.lines();
}

CurvePlace curve_place(const std::string& high, const std::string& low, int width) {
  constexpr int kMostColumns = 100, kLeastColumns = 10, kIndent = 2;
  const int label = kIndent + static_cast<int>(std::max(high.size(), low.size())) + 1;
  return {label, std::clamp(width - label - 1, kLeastColumns, kMostColumns)};
}

std::vector<std::string> labelled_curve(const std::vector<double>& values, const std::string& high,
                                        const std::string& low, int width) {
  constexpr int kRows = 5;
  const CurvePlace place = curve_place(high, low, width);
  std::vector<std::string> lines = draw_curve(values, place.columns, kRows);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string& text = i == 0 ? high : i + 1 == lines.size() ? low : std::string();
    lines[i] = std::string(static_cast<std::size_t>(place.label) - 1 - text.size(), ' ') + text + " " + lines[i];
  }
  return lines;
}

}  // namespace sluice
