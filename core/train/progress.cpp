// Progress lines and the bar.
#include "core/train/progress.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/base/error.hpp"
#include "core/base/units.hpp"
#include "core/config/keys.hpp"

namespace sluice {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr double kWindowSeconds = 10;
constexpr int kMinBar = 10, kMaxBar = 30;

std::string draw_bar(double share, int width) {
  const int full = static_cast<int>(share * width);
  return "[" + std::string(static_cast<std::size_t>(full), '#') +
         std::string(static_cast<std::size_t>(width - full), '.') + "]";
}

/// "45s", "38m", "1h23", "2d3h".
std::string brief_duration(double seconds) {
  constexpr double kMinute = 60, kHour = 3600, kDay = 86400;
  const auto whole = [](double value) { return static_cast<std::int64_t>(value); };
  if (seconds < kMinute) return concat(whole(seconds), "s");
  if (seconds < kHour) return concat(whole(seconds / kMinute), "m");
  if (seconds >= kDay) return concat(whole(seconds / kDay), "d", whole(std::fmod(seconds, kDay) / kHour), "h");
  const std::int64_t minutes = whole(std::fmod(seconds, kHour) / kMinute);
  return concat(whole(seconds / kHour), "h", minutes < 10 ? "0" : "", minutes);
}

/// Characters of the label of the last phase: of "epoch 3/60" those of "epoch 60/60".
std::size_t longest_label(const std::string& label) {
  constexpr char kDigits[] = "0123456789";
  const std::size_t number = label.find(' ') + 1, slash = label.find_first_not_of(kDigits, number);
  const bool counts = slash != std::string::npos && label[slash] == '/' &&
                      label.find_first_not_of(kDigits, slash + 1) == std::string::npos;
  if (!counts) return label.size();
  return number + std::max(slash - number, label.size() - slash - 1) + label.size() - slash;
}

}  // namespace

void LogOptions::describe(Keys& keys) {
  keys.optional("interval", interval, at_least(0.0),
                "seconds between progress lines where standard error is no terminal; 0: none");
  keys.optional("tensorboard", tensorboard,
                "write an event file for TensorBoard into the run directory: metrics, histograms of thresholds and "
                "densities, decision maps, the configuration (docs/reports.md)");
  keys.role(KeyRole::kNothing, {"interval", "tensorboard"}, "no effect on the result");
  keys.of_machine({"interval"});
}

Progress::Progress(Log& log, const LogOptions& options, KeptRoom& room, TimeBudget::Clock clock)
    : log_(log), room_(room), interval_(options.interval), clock_(std::move(clock)), shown_(clock_()) {}

Progress::~Progress() {
  end();
}

void Progress::begin(const std::string& label, std::int64_t images, std::int64_t done, std::int64_t later_images) {
  label_ = label;
  longest_label_ = longest_label(label);
  images_ = images;
  done_ = done;
  later_images_ = later_images;
  samples_ = {{clock_(), done}};
}

bool Progress::due() const {
  if (log_.terminal()) return clock_() - shown_ >= kRedrawSeconds;
  return interval_ > 0 && clock_() - shown_ >= interval_;
}

void Progress::pass(std::int64_t images) {
  advance(images);
  if (due()) show({});
}

void Progress::show(const std::vector<LinePart>& values) {
  const double now = clock_();
  shown_ = now;
  sample(now);
  std::vector<LinePart> line = parts(values);
  if (!log_.terminal()) {
    log_.info(fitting_line(line, SIZE_MAX));
    samples_ = {samples_.back()};
    return;
  }
  room_.keep(line);
  const auto room = static_cast<std::size_t>(log_.width() - 1);
  const int spare = static_cast<int>(room) - static_cast<int>(line_width(line)) - 4;  // with spaces
  if (spare >= kMinBar) {
    const double share =
        images_ > 0 ? std::clamp(static_cast<double>(done_) / static_cast<double>(images_), 0.0, 1.0) : 0;
    line.insert(line.begin() + 1, {draw_bar(share, std::min(spare, kMaxBar)), "", 0});
  }
  log_.set_status(fitting_line(line, room));
}

void Progress::end() {
  log_.set_status("");
}

void Progress::sample(double now) {
  samples_.push_back({now, done_});
  if (!log_.terminal()) return;
  while (samples_.size() > 2 && samples_[1].time <= now - kWindowSeconds) samples_.pop_front();
}

double Progress::images_per_second() const {
  if (samples_.size() < 2) return 0;
  const Sample &first = samples_.front(), &last = samples_.back();
  return last.time > first.time ? static_cast<double>(last.done - first.done) / (last.time - first.time) : 0;
}

std::vector<LinePart> Progress::parts(const std::vector<LinePart>& values) const {
  const std::int64_t percent = images_ > 0 ? std::min<std::int64_t>(100, done_ * 100 / images_) : 0;
  const std::size_t word = label_.find(' ') + 1;
  std::vector<LinePart> parts = {{label_, label_.substr(word), 100, longest_label_, longest_label_ - word},
                                 {concat(percent, " %"), concat(percent, "%"), 95, 5, 4}};
  parts.insert(parts.end(), values.begin(), values.end());
  const double rate = images_per_second();
  if (rate <= 0) return parts;
  const double left = static_cast<double>(std::max<std::int64_t>(0, images_ - done_)) / rate;
  parts.push_back({concat(per_second_text(rate), " images/s"), concat(per_second_text(rate), "/s"), 70, 14, 6});
  const auto eta = [&](const std::string& of, double seconds, int importance) {
    constexpr std::size_t kLeast = 3;  // "59s" comes after "1m"
    const std::string name = of + "ETA ";
    parts.push_back(
        {name + format_duration(seconds), name + brief_duration(seconds), importance, 0, name.size() + kLeast});
  };
  if (later_images_ < 0) {
    eta("", left, 90);
  } else {
    if (later_images_ > 0)
      eta("epoch ", left, 65);
    else
      parts.push_back({"", "", 65});  // the run's says it; in the last epoch its room stays free
    eta("run ", left + static_cast<double>(later_images_) / rate, 90);
  }
  return parts;
}

}  // namespace sluice
