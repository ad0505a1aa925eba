#include "apps/evaluation_progress.hpp"

#include <unistd.h>

#include <string_view>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"

namespace sluice {
namespace {

constexpr std::size_t kMostOfName = 24;  // characters; the figures have room beside it at 60 columns

LogOptions only_on_terminals() {
  LogOptions options;
  options.interval = 0;
  return options;
}

/// Of a long path the end, which tells files apart.
std::string brief_name(const std::string& file) {
  constexpr std::string_view kMark = "...";
  const std::string name = one_line(file);
  const std::size_t characters = count_characters(name, name.size());
  if (characters <= kMostOfName) return name;
  std::size_t begin = 0;
  for (std::size_t left_out = characters - kMostOfName + kMark.size(); left_out > 0; --left_out)
    begin += character_at(name, begin).bytes;
  return concat(kMark, name.substr(begin));
}

}  // namespace

EvaluationProgress::EvaluationProgress(std::size_t files)
    : files_(files), log_(STDERR_FILENO, STDERR_FILENO), line_(log_, only_on_terminals(), room_) {}

void EvaluationProgress::next(const std::string& file) {
  ++place_;
  label_ = "evaluating " + brief_name(file);
  if (files_ > 1) label_ += concat(", ", place_, " of ", files_);
}

}  // namespace sluice
