#include "core/checkpoint/history_column.hpp"

#include <cstdio>

namespace sluice {

bool column_ends_in(const std::string& column, const std::string& words) {
  return column.size() >= words.size() && column.compare(column.size() - words.size(), words.size(), words) == 0;
}

bool is_accuracy(const std::string& column) {
  constexpr char kName[] = "accuracy";
  const std::size_t set = column.find('_');
  const std::string of = column.substr(0, set);
  if (set == std::string::npos || (of != "train" && of != "val" && of != "test")) return false;
  const std::string name = column.substr(set + 1);
  if (name.compare(0, 3, "top") != 0) return name == kName;
  const std::size_t k = name.find_first_not_of("0123456789", 3);
  return k != std::string::npos && k > 3 && name.substr(k) == std::string("_") + kName;
}

std::string metric_text(const std::string& column, double value) {
  const bool percent = is_accuracy(column);
  char text[40];
  std::snprintf(text, sizeof text, percent ? "%.4g %%" : "%.4g", percent ? 100 * value : value);
  return text;
}

}  // namespace sluice
