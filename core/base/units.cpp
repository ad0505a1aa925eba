#include "core/base/units.hpp"

#include <cstdio>

namespace sluice {
namespace {

std::string in_unit(double value, int digits, const char* unit) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f%s", digits, value, unit);
  return text;
}

}  // namespace

std::string operations_text(double count) {
  if (count < 1e4) return in_unit(count, 0, "");
  return count < 1e10 ? in_unit(count / 1e6, 2, " M") : in_unit(count / 1e9, 2, " G");
}

std::string time_text(double seconds) {
  constexpr double kMinute = 60, kHour = 3600;
  if (seconds < kMinute) return in_unit(seconds, 1, " s");
  return seconds < kHour ? in_unit(seconds / kMinute, 1, " min") : in_unit(seconds / kHour, 2, " h");
}

}  // namespace sluice
