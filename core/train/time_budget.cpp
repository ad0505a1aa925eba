// Durations as users write them, and the arithmetic of what still fits.
#include "core/train/time_budget.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/units.hpp"
#include "core/config/keys.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

constexpr double kHeadroom = 1.1;            // a shared machine is never quite as fast as it was
constexpr double kUnmeasuredCheckpoint = 1;  // seconds

std::optional<double> number(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  if (text.empty() || result.ec != std::errc() || result.ptr != end || !std::isfinite(value) || value < 0)
    return std::nullopt;
  return value;
}

std::optional<double> whole(const std::string& text, double below) {
  if (!std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) return std::nullopt;
  const std::optional<double> value = number(text);
  return value && *value < below ? value : std::nullopt;
}

/// "MM:SS", "HH:MM:SS", and behind days "HH", "HH:MM", "HH:MM:SS"; the first field may be large unless days stand
/// before it.
std::optional<double> parse_clock(const std::string& text, bool after_days) {
  std::vector<std::string> fields(1);
  for (char c : text) {
    if (c == ':')
      fields.emplace_back();
    else
      fields.back() += c;
  }
  if (fields.size() > 3 || (fields.size() < 2 && !after_days)) return std::nullopt;
  double seconds = 0;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const double first_limit = after_days ? 24 : 1e9;
    const std::optional<double> value = whole(fields[i], i == 0 ? first_limit : 60);
    if (!value) return std::nullopt;
    seconds = seconds * 60 + *value;
  }
  for (std::size_t i = fields.size(); after_days && i < 3; ++i) seconds *= 60;
  return seconds;
}

/// "1d 12h 30m 5s": each unit at most once, from large to small.
std::optional<double> parse_units(const std::string& text) {
  constexpr std::pair<char, double> kUnits[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
  double seconds = 0;
  std::size_t unit = 0, at = 0;
  while (at < text.size()) {
    const std::size_t end = text.find_first_not_of("0123456789.", at);
    if (end == std::string::npos) return std::nullopt;
    const std::optional<double> value = number(text.substr(at, end - at));
    while (unit < 4 && kUnits[unit].first != text[end]) ++unit;
    if (!value || unit == 4) return std::nullopt;
    seconds += *value * kUnits[unit++].second;
    at = text.find_first_not_of(' ', end + 1);
  }
  return seconds;
}

/// Follows a rise at once and a fall slowly.
void take(double& estimate, double seconds, double weight) {
  estimate = std::max(seconds, estimate + weight * (seconds - estimate));
}

}  // namespace

std::optional<double> parse_duration(const std::string& text) {
  std::optional<double> seconds;
  const std::size_t dash = text.find('-');
  if (dash == std::string::npos && text.find(':') == std::string::npos) {
    seconds = number(text);
    if (!seconds) seconds = parse_units(text);
  } else if (dash == std::string::npos) {
    seconds = parse_clock(text, false);
  } else {
    const std::optional<double> days = whole(text.substr(0, dash), 1e5);
    seconds = parse_clock(text.substr(dash + 1), true);
    if (!days || !seconds) return std::nullopt;
    *seconds += *days * 86400;
  }
  return seconds && *seconds > 0 ? seconds : std::nullopt;
}

std::string format_duration(double seconds) {
  const std::int64_t total = std::llround(std::clamp(seconds, 0.0, 1e12));
  const std::int64_t days = total / 86400, hours = total / 3600 % 24, minutes = total / 60 % 60;
  char text[40];
  if (days > 0)
    std::snprintf(text, sizeof text, "%lld-%02d:%02d:%02d", static_cast<long long>(days), static_cast<int>(hours),
                  static_cast<int>(minutes), static_cast<int>(total % 60));
  else if (hours > 0)
    std::snprintf(text, sizeof text, "%d:%02d:%02d", static_cast<int>(hours), static_cast<int>(minutes),
                  static_cast<int>(total % 60));
  else
    std::snprintf(text, sizeof text, "%d:%02d", static_cast<int>(minutes), static_cast<int>(total % 60));
  return text;
}

void duration_key(Keys& keys, const char* name, std::string& text, double& seconds, const char* doc) {
  keys.optional(name, text, doc);
  seconds = 0;
  if (text.empty()) return;
  const std::optional<double> parsed = parse_duration(text);
  if (parsed)
    seconds = *parsed;
  else
    keys.error(name, concat("expected a time above 0 such as 01:30:00, 90m, 2h or seconds (empty: no limit), got ",
                            sluice::quoted(text)));
}

double TimeBudget::steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

TimeBudget::TimeBudget(double max_seconds, Clock clock, std::optional<double> start)
    : max_seconds_(max_seconds), clock_(std::move(clock)), start_(start ? *start : clock_()) {}

void TimeBudget::record_step(double seconds) {
  take(step_s_, seconds, 0.05);
}
void TimeBudget::record_evaluation(double seconds) {
  take(evaluation_s_, seconds, 0.5);
}
void TimeBudget::record_checkpoint(double seconds) {
  take(checkpoint_s_, seconds, 0.5);
}

bool TimeBudget::fits(double seconds) const {
  if (!limited()) return true;
  const double checkpoint = checkpoint_s_ > 0 ? checkpoint_s_ : kUnmeasuredCheckpoint;
  return kHeadroom * (seconds + checkpoint) <= remaining();
}

bool TimeBudget::step_fits() const {
  return fits(step_s_);
}

bool TimeBudget::evaluation_fits(std::int64_t batches) const {
  return fits(evaluation_s_ > 0 ? evaluation_s_ : step_s_ * static_cast<double>(batches));
}

std::string TimeBudget::reason() const {
  constexpr double kHour = 3600;
  const auto text = [](double seconds) { return seconds < kHour ? time_text(seconds) : format_duration(seconds); };
  return concat("what comes next does not fit into the time budget of ", text(max_seconds_), " (", text(elapsed()),
                " elapsed)");
}

}  // namespace sluice
