#include "tests/golden_check/comparison.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <utility>

#include "core/base/error.hpp"

namespace sluice {

double relative_error(const std::vector<double>& got, const std::vector<double>& want) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (got.size() != want.size()) return kInfinite;
  double largest = 0, error = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double e = std::abs(got[i] - want[i]);
    if (!std::isfinite(e)) return kInfinite;
    error = std::max(error, e);
    largest = std::max(largest, std::abs(want[i]));
  }
  if (error == 0) return 0;
  return largest > 0 ? error / largest : kInfinite;
}

void CaseReport::compare(const std::string& kind, double allowed, const std::string& where,
                         const std::vector<double>& got, const std::vector<double>& want) {
  if (got.size() != want.size()) fail(concat(where, ": ", got.size(), " elements, the file has ", want.size()));
  if (worst_.count(kind) == 0) kinds_.push_back(kind);
  Worst& worst = worst_[kind];
  const double error = relative_error(got, want);
  if (error >= worst.error) worst = {error, allowed, where};
}

void CaseReport::compare_count(const std::string& what, std::int64_t got, std::int64_t want) {
  if (got != want) fail(concat(what, ": counted ", got, ", the file has ", want));
}

bool CaseReport::within() const {
  const bool close = std::all_of(worst_.begin(), worst_.end(),
                                 [](const auto& entry) { return entry.second.error <= entry.second.allowed; });
  return failures_.empty() && close && !worst_.empty();
}

bool CaseReport::within(const std::string& kind) const {
  const auto worst = worst_.find(kind);
  return failures_.empty() && worst != worst_.end() && worst->second.error <= worst->second.allowed;
}

void CaseReport::excuse(const std::string& why) {
  excused_ = true;
  name_ += ": " + why;
}

std::string CaseReport::text() const {
  std::ostringstream text;
  text << (within() ? "ok    " : excused_ ? "edge  " : "FAIL  ") << name_;
  text.precision(2);
  for (const std::string& kind : kinds_) {
    const Worst& worst = worst_.at(kind);
    text << "; " << kind << " " << worst.error << (worst.error <= worst.allowed ? " of " : " exceeds ") << worst.allowed
         << " (" << worst.where << ")";
  }
  if (worst_.empty() && failures_.empty()) text << "; nothing was compared";
  for (const std::string& failure : failures_) text << "\n        " << failure;
  text << "\n";
  return text.str();
}

void excuse_edge(CaseReport& one, CaseReport& other) {
  for (auto [passed, parted] : {std::pair{&one, &other}, std::pair{&other, &one}}) {
    if (!passed->within() || parted->within() || !parted->within("first step")) continue;
    parted->excuse("a value between two levels after the first step, rounded as in the file in the other run");
  }
}

}  // namespace sluice
