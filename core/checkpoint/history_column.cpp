#include "core/checkpoint/history_column.hpp"

#include <cmath>
#include <cstdio>

#include "core/base/units.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

constexpr char kFlopReduction[] = "flop_reduction";
constexpr char kMacsExecuted[] = "macs_executed";
constexpr char kDensity[] = "gate_density";
constexpr char kSparsity[] = "sparsity";

std::string formatted(const char* format, double value) {
  char text[400];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

/// The whole network's name of a layer's column: "val_density" of "val_density/conv1".
std::string of_network(const std::string& column) {
  return column.substr(0, column.find('/'));
}

/// With `end` where the column ends in `words`.
std::string with_end(const std::string& column, const std::string& words, const std::string& end) {
  return column.substr(0, column.size() - words.size()) + end;
}

}  // namespace

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

bool is_density(const std::string& column) {
  const std::string name = of_network(column);
  return ends_with(name, "density") || ends_with(name, kSparsity);
}

bool is_flop_reduction(const std::string& column) {
  return ends_with(column, kFlopReduction);
}

std::string complement_of(const std::string& column) {
  return ends_with(column, kSparsity) ? with_end(column, kSparsity, kDensity) : "";
}

bool is_work(const std::string& column) {
  return ends_with(column, kMacsExecuted);
}

std::string cost_beside(const std::string& column) {
  return with_end(column, kMacsExecuted, kFlopReduction);
}

std::string metric_text(const std::string& column, double value) {
  const std::string name = of_network(column);
  if (std::isnan(value)) return "nan";
  if (is_accuracy(name)) return accuracy_text(value);
  if (is_density(name)) return share_text(value);
  if (is_work(name)) return operations_text(value);
  if (ends_with(name, "average_bits")) return bits_text(value);
  if (ends_with(name, "loss") || ends_with(name, "cross_entropy")) return loss_text(value);
  if (name == "lr") return lr_text(value);
  if (name == "epoch" || name == "step") return formatted("%.10g", value);
  if (name == "seconds" || name == "images_per_second") return formatted("%.1f", value);
  return name == "data_wait_percent" ? formatted("%.1f %%", value) : formatted("%.4g", value);
}

std::string shown_name(const std::string& column) {
  for (const auto& [name, shown] : {std::pair<const char*, const char*>{kDensity, "density"},
                                    {kFlopReduction, "cost"},
                                    {kMacsExecuted, "multiply-adds"},
                                    {"average_bits", "bits"}})
    if (ends_with(column, name)) return with_end(column, name, shown);
  return column;
}

std::string shown_text(const std::string& column, double value) {
  return is_flop_reduction(column) && !std::isnan(value) ? share_text(1 / value) : metric_text(column, value);
}

std::string margin_text(const std::string& column, double margin) {
  return is_accuracy(column) ? formatted("%.4g %%", 100 * margin) : formatted("%.4g", margin);
}

}  // namespace sluice
