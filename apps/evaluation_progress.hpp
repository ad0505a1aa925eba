// How far the evaluations of files are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/train/progress.hpp"

namespace sluice {

/// A line on standard error where that is a terminal; nothing elsewhere.
class EvaluationProgress {
 public:
  /// Of so many files, one after the other.
  explicit EvaluationProgress(std::size_t files = 1);

  /// The next file: "evaluating cg.h5", of several "evaluating cg.h5, 2 of 4".
  void next(const std::string& file);
  /// Begins its evaluations, of so many images in all.
  void begin(std::int64_t images) { line_.begin(label_, images); }
  Progress& line() { return line_; }

 private:
  std::size_t files_, place_ = 0;
  std::string label_;
  Log log_;
  KeptRoom room_;
  Progress line_;
};

}  // namespace sluice
