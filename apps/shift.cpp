#include "apps/shift.hpp"

#include <charconv>
#include <cmath>

#include "apps/open_network.hpp"
#include "core/base/error.hpp"
#include "core/config/text.hpp"
#include "core/report/network_table.hpp"
#include "gating/gating.hpp"

namespace sluice {
namespace {

constexpr double kMostAmounts = 1000;

/// Numbers between colons; nothing where one is none.
std::vector<double> numbers_in(const std::string& text) {
  std::vector<double> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;;) {
    double number = 0;
    const auto [behind, error] = std::from_chars(at, end, number);
    if (error != std::errc() || !std::isfinite(number)) return {};
    numbers.push_back(number);
    if (behind == end) return numbers;
    if (*behind != ':') return {};
    at = behind + 1;
  }
}

}  // namespace

std::vector<double> parse_shifts(const std::string& text, const std::string& where) {
  const std::vector<double> numbers = numbers_in(text);
  if (numbers.size() == 1) return numbers;
  const auto refuse = [&](const char* expected) {
    throw Error(ExitCode::kUsage, concat(where, ": expected ", expected, ", got ", quoted(text)));
  };
  if (numbers.size() != 3 || !(numbers[2] > 0) || numbers[1] < numbers[0])
    refuse("FROM:TO:STEP, as -1:1:0.1, or a number");
  const double steps = (numbers[1] - numbers[0]) / numbers[2] + 1e-6;
  if (steps >= kMostAmounts) refuse("at most 1000 steps");
  std::vector<double> amounts;
  // Without the last digits of sums: 0.3 and not 0.30000000000000004.
  for (int i = 0; i <= static_cast<int>(steps); ++i)
    amounts.push_back(std::round((numbers[0] + i * numbers[2]) * 1e9) / 1e9);
  return amounts;
}

std::unique_ptr<GroupShift> shift_thresholds(Network& network, double amount) {
  auto thresholds = std::make_unique<GroupShift>(network, kThreshold);
  if (thresholds->empty())
    throw Error(ExitCode::kUsage,
                concat("command line: --shift: no layer of this network has thresholds (parameters of "
                       "the group '",
                       kThreshold, "')"));
  thresholds->by(amount);
  return thresholds;
}

Records shift_curve(const std::string& file, const std::vector<std::string>& overrides, Split split,
                    const std::vector<double>& amounts) {
  const std::unique_ptr<OpenNetwork> opened = open_network(file, overrides, split);
  const std::unique_ptr<GroupShift> thresholds = shift_thresholds(opened->network(), 0);
  const std::unique_ptr<Evaluator> evaluator = opened->evaluator();
  std::vector<NetworkRow> rows;
  EvaluationProgress progress;
  progress.next(file);
  progress.begin(opened->images.dataset->size() * static_cast<std::int64_t>(amounts.size()));
  const auto pass = [&](const Batch& batch, const float*, std::int64_t) { progress.line().pass(batch.count); };
  for (const double amount : amounts) {
    thresholds->by(amount);
    rows.push_back(network_row(number_cell(amount, 3), opened->network(), *evaluator->run(pass)));
    rows.back().set = opened->images.dataset->name();
    rows.back().split = to_string(split);
  }
  return networks_table({"shift", "shift"}, rows);
}

}  // namespace sluice
