#include "apps/find_lr.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ostream>

#include "apps/outputs.hpp"
#include "core/base/curve.hpp"
#include "core/base/error.hpp"
#include "core/base/units.hpp"
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

/// Means that a curve shows whole: those to the lowest one, and as far above that as half of it. Where a loss diverges
/// it would leave nothing of the rest to see.
double top_of(const std::vector<double>& smoothed, std::size_t lowest) {
  constexpr double kAbove = 1.5;
  const auto end = smoothed.begin() + static_cast<std::ptrdiff_t>(lowest) + 1;
  return std::max(*std::max_element(smoothed.begin(), end), kAbove * smoothed[lowest]);
}

/// Of the means over whole spans.
void print_curve(std::ostream& out, const LrSweep& sweep, const LrSuggestion& suggestion, int width) {
  const auto first = sweep.smoothed.begin();
  std::vector<double> shown(first + static_cast<std::ptrdiff_t>(suggestion.begin),
                            first + static_cast<std::ptrdiff_t>(suggestion.end));
  if (shown.empty()) return;
  const auto lowest = std::min_element(shown.begin(), shown.end());
  const double top = top_of(shown, static_cast<std::size_t>(lowest - shown.begin()));
  const double least = *lowest, most = *std::max_element(shown.begin(), shown.end());
  for (double& mean : shown) mean = std::min(mean, top);
  const std::string high = fixed(std::min(most, top), 4), low = fixed(least, 4);
  for (const std::string& line : labelled_curve(shown, high, low, width)) out << line << "\n";
  const CurvePlace place = curve_place(high, low, width);
  const auto column = [&](std::size_t step) {
    const auto last = static_cast<double>(std::max<std::size_t>(1, shown.size() - 1));
    const auto at = static_cast<double>(step - suggestion.begin);
    return place.label + static_cast<int>(std::lround(at / last * (place.columns - 1)));
  };
  if (suggestion.found())
    out << marked(column(suggestion.steepest), two_digits(sweep.rates[suggestion.steepest])) << "\n";
  out << "the curve: means over a tenth of the sweep, at rates " << two_digits(sweep.rates[suggestion.begin]) << " to "
      << two_digits(sweep.rates[suggestion.end - 1]) << "\n";
  if (most > top) out << "the curve is cut at " << high << "; its highest mean is " << loss_text(most) << "\n";
}

std::string reason_of(const LrSweep& sweep, const LrSuggestion& suggestion, const LrSweepOptions& options) {
  using Kind = LrSuggestion::Kind;
  if (suggestion.kind == Kind::kTooShort)
    return concat("the sweep ended after ", sweep.losses.size(), " of ", options.steps,
                  " steps, before there was a mean over a tenth of it; try a --lr-range that begins lower");
  const std::string fall =
      concat("from ", loss_text(suggestion.first), " to ", loss_text(sweep.smoothed[suggestion.lowest]));
  if (suggestion.kind == Kind::kByChance)
    return concat("the loss, averaged over a tenth of the sweep, falls ", fall, ", but it may do so by chance: means ",
                  "differ by up to ", loss_text(suggestion.by_chance), "; try more --lr-steps or a larger train.batch");
  return concat("the loss never falls: averaged over a tenth of the sweep it goes ", fall,
                ", which is not below 95 %, ",
                suggestion.rose ? "and then rises; try a --lr-range that begins lower, or more --lr-steps"
                                : "and does not rise either; try a --lr-range that goes further");
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
  const LrSuggestion suggestion = suggest_learning_rate(sweep, options.steps);
  print_curve(out, sweep, suggestion, width);
  if (!suggestion.found()) {
    out << "no suggestion: " << reason_of(sweep, suggestion, options) << "\n";
    return;
  }
  out << "suggestion: optimizer.lr = " << two_digits(sweep.rates[suggestion.steepest])
      << ", where the loss falls steepest; averaged over a tenth of the sweep it is lowest at "
      << two_digits(sweep.rates[suggestion.lowest])
      << (suggestion.rose ? "" : ", and does not rise behind that: a --lr-range that goes further may show more")
      << "\n";
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
