// Closed forms of the schedules, and the checks of their keys.
#include "core/train/schedule.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace sluice {
namespace {

using Type = ScheduleOptions::Type;

constexpr double kPi = 3.141592653589793238462643383279502884;

const std::vector<std::pair<std::string, Type>>& types() {
  static const std::vector<std::pair<std::string, Type>> list = {
      {"constant", Type::kConstant},     {"step", Type::kStep},     {"multistep", Type::kMultistep},
      {"polynomial", Type::kPolynomial}, {"cosine", Type::kCosine}, {"one_cycle", Type::kOneCycle}};
  return list;
}

double cosine_between(double from, double to, double t) {
  return to + (from - to) / 2 * (1 + std::cos(kPi * t));
}

std::int64_t whole_steps(double epochs, std::int64_t steps_per_epoch) {
  return std::llround(epochs * static_cast<double>(steps_per_epoch));
}

}  // namespace

void ScheduleOptions::describe(Keys& keys) {
  keys.choice("type", type, types(), "shape of the learning rate over the run");
  const std::string why = concat("type = ", types()[static_cast<std::size_t>(type)].first);
  // A key that only some types read.
  const auto only = [&](bool read, const char* name, auto& value, auto range, const char* doc) {
    if (read || keys.documenting())
      keys.optional(name, value, range, doc);
    else
      keys.idle({name}, why);
  };
  const bool drops = type == Type::kStep || type == Type::kMultistep;
  const bool ends = type == Type::kPolynomial || type == Type::kCosine;
  const bool cycle = type == Type::kOneCycle;
  keys.optional("warmup_epochs", warmup_epochs, at_least(0.0), "epochs of linear warm-up, also parts of one; 0: none");
  only(warmup_epochs > 0, "warmup_start", warmup_start, between(0.0, 1.0),
       "factor on the learning rate of the warm-up's first step");
  only(type == Type::kStep, "step_epochs", step_epochs, above_zero(), "step: epochs between two drops");
  only(type == Type::kMultistep, "milestones", milestones, above_zero(), "multistep: epochs of the drops, increasing");
  only(drops, "gamma", gamma, above_zero(), "step, multistep: factor on the learning rate at a drop");
  only(ends, "min_lr", min_lr, at_least(0.0), "polynomial, cosine: learning rate at the end of the run");
  only(type == Type::kPolynomial, "power", power, above_zero(), "polynomial: its exponent");
  only(cycle, "pct_start", pct_start, between(0.0, 1.0),
       "one_cycle: share of the run in which the learning rate rises");
  only(cycle, "div", div, at_least(1.0), "one_cycle: the run starts at lr / div");
  only(cycle, "final_div", final_div, at_least(1.0), "one_cycle: the run ends at lr / div / final_div");
  if (type != Type::kMultistep || keys.documenting()) return;
  const auto bad = std::adjacent_find(milestones.begin(), milestones.end(), std::greater_equal<>());
  if (bad != milestones.end()) keys.error("milestones", concat("must increase, but ", bad[1], " comes after ", bad[0]));
}

void ScheduleOptions::check(Config& config, double base_lr, std::int64_t epochs) const {
  Section& section = config.section("schedule");
  Diagnostics& diagnostics = config.diagnostics();
  const auto run = static_cast<double>(epochs);
  if (warmup_epochs >= run && warmup_epochs > 0)
    section.report(diagnostics, "warmup_epochs",
                   concat("a warm-up of ", warmup_epochs, " epochs leaves nothing of [train] epochs = ", epochs));
  if ((type == Type::kPolynomial || type == Type::kCosine) && min_lr > base_lr)
    section.report(diagnostics, "min_lr", concat(min_lr, " is above [optimizer] lr = ", base_lr));
  if (type == Type::kStep && step_epochs >= run)
    diagnostics.warning(concat(section.where("step_epochs"), ": the first drop comes after ", step_epochs,
                               " epochs, but [train] epochs = ", epochs));
  if (type != Type::kMultistep) return;
  const Entry* written = section.find("milestones");  // a wrong list is empty too, but reported already
  if (milestones.empty() && (written == nullptr || written->value.empty()))
    section.report(diagnostics, "milestones", "type = multistep needs the epochs of its drops, such as 60, 80");
  for (double milestone : milestones) {
    if (milestone >= run)
      diagnostics.warning(
          concat(section.where("milestones"), ": ", milestone, " is never reached, [train] epochs = ", epochs));
    if (milestone < warmup_epochs)
      diagnostics.warning(concat(section.where("milestones"), ": ", milestone, " lies inside the warm-up of ",
                                 warmup_epochs, " epochs"));
  }
}

bool ScheduleOptions::follows_epochs() const {
  return type == Type::kPolynomial || type == Type::kCosine || type == Type::kOneCycle;
}

Schedule::Schedule(const ScheduleOptions& options, double base_lr, std::int64_t steps_per_epoch, std::int64_t epochs)
    : options_(options),
      base_lr_(base_lr),
      steps_per_epoch_(std::max<std::int64_t>(1, steps_per_epoch)),
      total_steps_(steps_per_epoch_ * epochs),
      warmup_steps_(std::min(whole_steps(options.warmup_epochs, steps_per_epoch_), total_steps_)) {
  for (double milestone : options.milestones) drops_.push_back(whole_steps(milestone, steps_per_epoch_));
}

double Schedule::lr_at(double step) const {
  const auto warmup = static_cast<double>(warmup_steps_);
  const double rate = shape(std::max(step, warmup));
  if (step >= warmup) return rate;
  const double done = step / warmup;
  return rate * (options_.warmup_start + (1 - options_.warmup_start) * done);
}

double Schedule::shape(double step) const {
  const auto steps = static_cast<double>(std::max<std::int64_t>(1, total_steps_ - warmup_steps_));
  const double position = step - static_cast<double>(warmup_steps_);
  const double t = std::min(1.0, position / steps);
  const double end = options_.min_lr;
  switch (options_.type) {
    case Type::kStep: {
      // The sum guards against 0.1 * 30 = 3.0000000000000004.
      const double interval = options_.step_epochs * static_cast<double>(steps_per_epoch_);
      return base_lr_ * std::pow(options_.gamma, std::floor(step / interval + 1e-9));
    }
    case Type::kMultistep:
      return base_lr_ * std::pow(options_.gamma, std::upper_bound(drops_.begin(), drops_.end(), step) - drops_.begin());
    case Type::kPolynomial:
      return end + (base_lr_ - end) * std::pow(1 - t, options_.power);
    case Type::kCosine:
      return cosine_between(base_lr_, end, t);
    case Type::kOneCycle:
      return one_cycle(position, steps);
    case Type::kConstant:
      break;
  }
  return base_lr_;
}

double Schedule::one_cycle(double position, double steps) const {
  const double last = steps - 1;
  const double peak = std::clamp(options_.pct_start * steps - 1, 0.0, std::max(0.0, last));
  const double start = base_lr_ / options_.div;
  if (position < peak) return cosine_between(start, base_lr_, position / peak);
  if (last <= peak) return base_lr_;
  return cosine_between(base_lr_, start / options_.final_div, std::min(1.0, (position - peak) / (last - peak)));
}

}  // namespace sluice
