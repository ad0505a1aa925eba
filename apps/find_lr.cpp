#include "apps/find_lr.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ostream>

#include "apps/outputs.hpp"
#include "core/base/curve.hpp"
#include "core/base/error.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostSteps = 100'000;
constexpr char kColumns[] = "lr,loss,smoothed";

template <class Number>
bool parse(const std::string& text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  return result.ec == std::errc() && result.ptr == end;
}

/// A line with `text` so that it begins, or where there is no room ends, at a column.
std::string marked(int column, const std::string& text) {
  const bool fits = column >= static_cast<int>(text.size());
  return fits ? std::string(static_cast<std::size_t>(column) - text.size(), ' ') + text + "^"
              : std::string(static_cast<std::size_t>(column), ' ') + "^" + text;
}

}  // namespace

void check_find_lr(const CommandLine& line) {
  for (const char* flag : {"lr-range", "lr-steps", "output", "force"}) {
    if (line.has(flag) && !line.has("find-lr"))
      throw Error(ExitCode::kUsage, concat("command line: --", flag, " goes with --find-lr"));
  }
  for (const char* flag : {"dry-run", "print-config", "resume", "auto-resume"}) {
    if (line.has(flag) && line.has("find-lr"))
      throw Error(ExitCode::kUsage, concat("command line: --find-lr and --", flag, " exclude each other"));
  }
}

LrSweepOptions sweep_options(const CommandLine& line) {
  LrSweepOptions options;
  if (const auto range = line.value("lr-range")) {
    const std::size_t colon = range->find(':');
    const bool good = colon != std::string::npos && parse(range->substr(0, colon), options.from) &&
                      parse(range->substr(colon + 1), options.to) && options.from > 0 && options.from < options.to &&
                      std::isfinite(options.to);
    if (!good)
      throw Error(ExitCode::kUsage,
                  concat("command line: --lr-range: expected two rates above 0, the smaller one first, "
                         "such as 1e-6:10, got ",
                         quoted(*range)));
  }
  if (const auto steps = line.value("lr-steps")) {
    if (!parse(*steps, options.steps) || options.steps < kLeastSweep || options.steps > kMostSteps)
      throw Error(ExitCode::kUsage, concat("command line: --lr-steps: expected an integer from ", kLeastSweep, " to ",
                                           kMostSteps, ", got ", quoted(*steps)));
  }
  return options;
}

void print_sweep(std::ostream& out, const LrSweep& sweep, const LrSweepOptions& options, const Experiment& experiment,
                 int width) {
  out << "learning rates " << concat(options.from) << " to " << concat(options.to) << " in " << options.steps
      << " steps of " << experiment.train.batch << " images";
  if (sweep.diverged && !sweep.rates.empty())
    out << "; ended at " << two_digits(sweep.rates.back()) << ": the loss is not finite, or four times its lowest";
  out << "\n";
  const std::optional<LrSuggestion> found = suggest_learning_rate(sweep, options.steps);
  if (!sweep.smoothed.empty()) {
    const auto [least, most] = std::minmax_element(sweep.smoothed.begin(), sweep.smoothed.end());
    const std::string high = fixed(*most, 4), low = fixed(*least, 4);
    for (const std::string& line : labelled_curve(sweep.smoothed, high, low, width)) out << line << "\n";
    const CurvePlace place = curve_place(high, low, width);
    const auto column = [&](std::size_t step) {
      const auto last = static_cast<double>(std::max<std::size_t>(1, sweep.rates.size() - 1));
      return place.label + static_cast<int>(std::lround(static_cast<double>(step) / last * (place.columns - 1)));
    };
    if (found) out << marked(column(found->steepest), two_digits(sweep.rates[found->steepest])) << "\n";
  }
  if (!found) {
    out << "no suggestion: the loss, averaged over a tenth of the sweep, does not fall to 95 % of what it is at first, "
           "or not by "
           "more than chance; try another --lr-range or more --lr-steps\n";
    return;
  }
  out << "suggestion: optimizer.lr = " << two_digits(sweep.rates[found->steepest])
      << ", where the loss falls steepest; averaged over a tenth of the sweep it is lowest at "
      << two_digits(sweep.rates[found->lowest]) << "\n";
}

std::string table_of(const LrSweep& sweep) {
  std::string text = concat(kColumns, "\n");
  for (std::size_t i = 0; i < sweep.rates.size(); ++i)
    text += concat(sweep.rates[i], ",", sweep.losses[i], ",", sweep.smoothed[i], "\n");
  return text;
}

std::optional<Output> sweep_output(const CommandLine& line, Experiment& experiment) {
  if (!line.has("output")) return std::nullopt;
  const auto is_table = [](const std::string& path) { return begins_with(path, kColumns); };
  Output output = output_of(line, "output", "sluice-train", is_table);
  refuse_inputs(output, {}, experiment);
  return output;
}

}  // namespace sluice
