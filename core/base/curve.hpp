// Curves for terminals, drawn with Braille characters, of which each has 2 x 4 dots.
#pragma once

#include <string>
#include <vector>

namespace sluice {

/// Lines of `columns` characters, the upper one first, with a curve through the values from left to right: the largest
/// value touches the upper edge, the smallest the lower one; equal values lie at the lower one. NaN and infinities are
/// gaps.
std::vector<std::string> draw_curve(const std::vector<double>& values, int columns, int rows);

/// The same of five rows and as wide as there is room for, to 100 columns, with `high` and `low` before the first and
/// the last line.
std::vector<std::string> labelled_curve(const std::vector<double>& values, const std::string& high,
                                        const std::string& low, int width);
/// Characters of such a line before the curve, and of the curve.
struct CurvePlace {
  int label, columns;
};
CurvePlace curve_place(const std::string& high, const std::string& low, int width);

}  // namespace sluice
