#include "core/checkpoint/per_cent.hpp"

#include <algorithm>
#include <cstdlib>

#include "core/base/error.hpp"
#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/history_column.hpp"

namespace sluice {
namespace {

constexpr double kPerCent = 100;
constexpr int kFirstMinorWithShares = 5;

/// Where a value stands in a text.
struct Place {
  std::size_t begin = 0, size = 0;
  std::string in(const std::string& text) const { return text.substr(begin, size); }
};

/// Of a key of [early_stopping] in a resolved configuration, which has a line for every key; empty where it is missing.
Place place_of(const std::string& key, const std::string& configuration) {
  const std::size_t section = configuration.find("\n[early_stopping]\n");
  if (section == std::string::npos) return {};
  const std::string before = concat("\n", key, " = ");
  const std::size_t line = configuration.find(before, section);
  if (line == std::string::npos || line > configuration.find("\n[", section + 1)) return {};
  const std::size_t begin = line + before.size();
  const std::size_t end = std::min(configuration.find_first_of(" \n", begin), configuration.size());
  return {begin, end - begin};
}

bool watches_accuracy(const std::string& configuration) {
  return is_accuracy(place_of("metric", configuration).in(configuration));
}

}  // namespace

void make_min_delta_a_share(std::string& configuration) {
  const Place place = place_of("min_delta", configuration);
  if (place.size == 0 || !watches_accuracy(configuration)) return;
  const double delta = std::strtod(place.in(configuration).c_str(), nullptr);
  configuration.replace(place.begin, place.size, concat(delta / kPerCent));
}

bool was_per_cent(const Checkpoint& checkpoint) {
  return checkpoint.minor < kFirstMinorWithShares;
}

void make_shares(const std::vector<std::string>& columns, std::vector<std::vector<double>>& rows) {
  for (std::size_t column = 0; column < columns.size(); ++column) {
    if (!is_accuracy(columns[column])) continue;
    for (std::vector<double>& row : rows) row[column] /= kPerCent;
  }
}

void make_shares(Checkpoint& checkpoint) {
  if (!was_per_cent(checkpoint)) return;
  make_shares(checkpoint.history.columns, checkpoint.history.rows);
  if (!watches_accuracy(checkpoint.config)) return;
  for (const char* name : {"best", "reference"}) {
    const auto found = checkpoint.state.find(name);
    if (found == checkpoint.state.end()) continue;
    if (auto* const value = std::get_if<double>(&found->second)) *value /= kPerCent;
  }
  make_min_delta_a_share(checkpoint.config);
}

}  // namespace sluice
