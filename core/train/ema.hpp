// Exponential moving average of the weights, evaluated and saved in their place.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/buffer.hpp"

namespace sluice {

class Keys;

/// Keys of `[ema]`.
struct EmaOptions {
  double decay = 0;    ///< 0 = off
  bool warmup = true;  ///< shorter memory at the start: decay of update t is min(decay, (1 + t) / (10 + t))
  std::int64_t statistics_batches = 0;  ///< that running statistics are measured over (StatisticsPass); 0: averaged
  void describe(Keys& keys);
  bool enabled() const { return decay > 0; }
};

/// Keeps `average += (1 - decay) * (value - average)` for every parameter and, with a copy of its own, for every
/// persistent buffer: running statistics belong to the weights they were measured with.
class Ema {
 public:
  /// Sizes of the two arenas in elements. The averages start as the values given.
  Ema(const EmaOptions& options, const float* params, std::int64_t param_count, const float* buffers,
      std::int64_t buffer_count);

  /// Once after each optimiser step. Not while swapped (Error kInternal).
  void update(const float* params, const float* buffers);
  /// The averages become these values, as at the beginning.
  void start_from(const float* params, const float* buffers);

  /// What a checkpoint must hold: arrays indexed like the arenas ("weights", "buffers") and the number of updates. To
  /// be written from and restored into while not swapped.
  struct State {
    std::string name;
    float* data;
    std::int64_t count;
  };
  std::vector<State> states() const;
  std::int64_t updates() const { return updates_; }
  void set_updates(std::int64_t updates) { updates_ = updates; }

  /// Puts the averages into the arenas while it lives, and the trained values back at its end. Whoever prepared
  /// something from the weights (reordered copies) must prepare it again after both.
  class Swap {
   public:
    Swap(Ema& ema, float* params, float* buffers);
    ~Swap();
    Swap(const Swap&) = delete;
    Swap& operator=(const Swap&) = delete;

   private:
    Ema& ema_;
    float *params_, *buffers_;
  };

 private:
  void exchange(float* params, float* buffers);

  EmaOptions options_;
  Buffer params_, buffers_;
  std::int64_t param_count_, buffer_count_;
  std::int64_t updates_ = 0;
  bool swapped_ = false;
};

}  // namespace sluice
