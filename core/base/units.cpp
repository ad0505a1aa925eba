#include "core/base/units.hpp"

#include <cstdio>

namespace sluice {
namespace {

std::string in_unit(double value, int digits, const char* unit) {
  char text[400];  // the largest double has 309 digits before the point
  std::snprintf(text, sizeof text, "%.*f%s", digits, value, unit);
  return text;
}

/// Three significant digits, of which at most so many stand behind the point; whole numbers from 100 on.
std::string three_digits(double value, int most) {
  int digits = 0;
  for (double least = 99.95; digits < most && value < least; least /= 10) ++digits;
  return in_unit(value, digits, "");
}

}  // namespace

std::string operations_text(double count) {
  if (count < 1e4) return in_unit(count, 0, "");
  if (count < 1e6) return in_unit(count / 1e3, 2, " k");
  return count < 1e10 ? in_unit(count / 1e6, 2, " M") : in_unit(count / 1e9, 2, " G");
}

std::string count_text(std::int64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t i = digits.size(); i > 3;) {
    i -= 3;
    digits.insert(i, ",");
  }
  return digits;
}

std::string executed_text(double executed, double dense) {
  const std::string text = operations_text(executed);
  return dense > 0 ? text + " (" + share_text(executed / dense) + ")" : text;
}

std::string accuracy_text(double share) {
  return in_unit(100 * share, 2, " %");
}

std::string share_text(double share) {
  return in_unit(100 * share, 1, " %");
}

std::string loss_text(double loss) {
  return in_unit(loss, 4, "");
}

std::string bits_text(double bits) {
  return in_unit(bits, 2, "");
}

std::string lr_text(double rate) {
  char text[40];
  std::snprintf(text, sizeof text, "%#.3g", rate);
  return text;
}

std::string time_text(double seconds) {
  constexpr double kMinute = 60, kHour = 3600;
  if (seconds < kMinute) return in_unit(seconds, 1, " s");
  return seconds < kHour ? in_unit(seconds / kMinute, 1, " min") : in_unit(seconds / kHour, 2, " h");
}

std::string milliseconds_text(double milliseconds) {
  return three_digits(milliseconds, 3);
}

std::string per_second_text(double count) {
  return three_digits(count, 2);
}

std::string counted(std::int64_t count, const std::string& thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

}  // namespace sluice
