// How far a case is from its golden values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sluice {

/// Largest |got - want| over the largest |want|; infinite for a NaN, for different sizes, and where everything wanted
/// is 0 and something else was got.
double relative_error(const std::vector<double>& got, const std::vector<double>& want);

/// The worst error of one kind ("first step", "losses", ...) and the data set it stands in.
struct Worst {
  double error = 0;
  double allowed = 0;
  std::string where;
};

/// What became of one case.
class CaseReport {
 public:
  explicit CaseReport(std::string name) : name_(std::move(name)) {}

  /// Compares one data set; `kind` groups data sets with one tolerance.
  void compare(const std::string& kind, double allowed, const std::string& where, const std::vector<double>& got,
               const std::vector<double>& want);
  /// Exact numbers.
  void compare_count(const std::string& what, std::int64_t got, std::int64_t want);
  /// Something is wrong that has no size: a data set is missing, a layer type does not exist.
  void fail(const std::string& why) { failures_.push_back(why); }

  const std::string& name() const { return name_; }
  bool passed() const { return excused_ || within(); }
  /// Everything compared, `kind` alone too, is within tolerance, and nothing failed that has no size.
  bool within() const;
  bool within(const std::string& kind) const;
  /// It counts as passed although it is not within tolerance.
  void excuse(const std::string& why);
  /// One line for the case, one for each failure.
  std::string text() const;

 private:
  std::string name_;
  std::vector<std::string> kinds_;  ///< in order of appearance
  std::map<std::string, Worst> worst_;
  std::vector<std::string> failures_;
  bool excused_ = false;
};

/// Both runs of a network that rounds to levels, which may part where a value lies within fp32's rounding of the edge
/// between two: from the second step on (images are chosen so that none does in the first) it is enough that one run is
/// within tolerance, and the other is excused.
void excuse_edge(CaseReport& one, CaseReport& other);

}  // namespace sluice
