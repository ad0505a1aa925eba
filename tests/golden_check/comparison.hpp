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
  bool passed() const;
  /// One line for the case, one for each failure.
  std::string text() const;

 private:
  std::string name_;
  std::vector<std::string> kinds_;  ///< in order of appearance
  std::map<std::string, Worst> worst_;
  std::vector<std::string> failures_;
};

}  // namespace sluice
