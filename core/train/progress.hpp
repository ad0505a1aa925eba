// How far a phase is, how fast, and how long it takes: a bar on a terminal, now and then a plain line elsewhere.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "core/base/status_line.hpp"
#include "core/train/log.hpp"
#include "core/train/log_options.hpp"
#include "core/train/time_budget.hpp"

namespace sluice {

/// Progress of one phase at a time, in images. On a terminal the bar is redrawn at most ten times a second; elsewhere a
/// line is logged every `interval` seconds, whatever phases begin or end meanwhile. Call advance() for each step and,
/// where due() says so, show().
class Progress {
 public:
  /// `room`: what lines of a terminal keep for their parts, so that all of a run look alike; it outlives the object.
  Progress(Log& log, const LogOptions& options, KeptRoom& room, TimeBudget::Clock clock = TimeBudget::steady_seconds);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Begins a phase ("epoch 3/60") of `images`, of which `done` are behind us (a resumed epoch). `later_images` of the
  /// same kind come in later phases: with them the line tells when the epoch and when the run will end; -1: when the
  /// phase will.
  void begin(const std::string& label, std::int64_t images, std::int64_t done = 0, std::int64_t later_images = -1);
  void advance(std::int64_t images) { done_ += images; }
  bool due() const;
  /// Both, without values.
  void pass(std::int64_t images);
  /// Draws, as much as the terminal has room for, or logs; `values` ("loss 1.234") stand in the middle.
  void show(const std::vector<LinePart>& values);
  /// Ends the phase: removes the bar.
  void end();

  /// Images per second over the last ten seconds (terminal) or since the last line; 0 before there is anything to
  /// measure.
  double images_per_second() const;

 private:
  struct Sample {
    double time;
    std::int64_t done;
  };
  std::vector<LinePart> parts(const std::vector<LinePart>& values) const;
  void sample(double now);

  Log& log_;
  KeptRoom& room_;
  double interval_;
  TimeBudget::Clock clock_;
  std::string label_;
  std::size_t longest_label_ = 0;
  std::int64_t images_ = 0, done_ = 0, later_images_ = -1;
  std::deque<Sample> samples_;  ///< oldest first: the window over which the speed is measured, its end last
  double shown_;
};

}  // namespace sluice
