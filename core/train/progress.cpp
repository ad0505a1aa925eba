// Progress lines and the bar.
#include "core/train/progress.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/base/error.hpp"
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

}  // namespace

void LogOptions::describe(Keys& keys) {
  keys.optional("interval", interval, at_least(0.0),
                "Seconds between progress lines where standard error is no terminal; 0 = none.");
  keys.role(KeyRole::kNothing, {"interval"}, "no effect on the result");
  keys.of_machine({"interval"});
}

std::string format_rate(double per_second) {
  char text[40];
  const int digits = per_second >= 99.95 ? 0 : per_second >= 9.995 ? 1 : 2;
  std::snprintf(text, sizeof text, "%.*f", digits, per_second);
  return text;
}

Progress::Progress(Log& log, const LogOptions& options, TimeBudget::Clock clock)
    : log_(log), interval_(options.interval), clock_(std::move(clock)), shown_(clock_()) {}

Progress::~Progress() {
  end();
}

void Progress::begin(const std::string& label, std::int64_t images, std::int64_t done, std::int64_t later_images) {
  label_ = label;
  images_ = images;
  done_ = done;
  later_images_ = later_images;
  samples_ = {{clock_(), done}};
}

bool Progress::due() const {
  if (log_.terminal()) return clock_() - shown_ >= kRedrawSeconds;
  return interval_ > 0 && clock_() - shown_ >= interval_;
}

void Progress::show(const std::string& values) {
  const double now = clock_();
  shown_ = now;
  sample(now);
  if (!log_.terminal()) {
    log_.info(text(values, ""));
    samples_ = {samples_.back()};
    return;
  }
  const double share =
      images_ > 0 ? std::clamp(static_cast<double>(done_) / static_cast<double>(images_), 0.0, 1.0) : 0;
  const int room = log_.width() - 1 - static_cast<int>(text(values, "").size()) - 4;  // brackets and spaces
  log_.set_status(text(values, room >= kMinBar ? draw_bar(share, std::min(room, kMaxBar)) : ""));
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

std::string Progress::text(const std::string& values, const std::string& bar) const {
  const std::int64_t percent = images_ > 0 ? std::min<std::int64_t>(100, done_ * 100 / images_) : 0;
  std::string text = label_;
  for (const std::string& part : {bar, concat(percent, " %"), values})
    if (!part.empty()) text += "  " + part;
  const double rate = images_per_second();
  if (rate <= 0) return text;
  const auto left = static_cast<double>(std::max<std::int64_t>(0, images_ - done_));
  text += concat("  ", format_rate(rate), " images/s  ETA ", format_duration(left / rate));
  if (later_images_ >= 0) text += concat(", run ", format_duration((left + static_cast<double>(later_images_)) / rate));
  return text;
}

}  // namespace sluice
