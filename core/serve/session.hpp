// Answers questions about images: what a program keeps for each of its threads.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/data/pixel_pass.hpp"
#include "core/graph/executor.hpp"
#include "core/serve/model.hpp"

namespace sluice {

/// One thread uses a session at a time; sessions of one model do not disturb each other. Each call computes on the
/// threads that set_threads allows: 1 where many sessions work side by side, all processors where one does.
class Session {
 public:
  /// `batch` images are computed together: 1 for the shortest wait, more for the highest rate. Everything is made
  /// here; `run` does not allocate.
  explicit Session(std::shared_ptr<const Model> model, std::int64_t batch = 1);

  const Model& model() const { return *model_; }
  std::int64_t batch() const { return executor_.options().batch; }

  /// images: count x height x width x channels bytes, as they come from a file; logits: count x classes. Any count from
  /// 0 on; it costs as much as the next multiple of the batch.
  void run(const std::uint8_t* images, std::int64_t count, float* logits);
  /// The same for images that are normalised already: floats, (byte / 255 - mean) / std.
  void run(const float* images, std::int64_t count, float* logits);

  /// For the plan and for figures.
  Executor& executor() { return executor_; }

 private:
  void answer(std::int64_t count, float* logits);

  std::shared_ptr<const Model> model_;
  Executor executor_;
  PixelPass pixels_;
  std::int64_t image_values_ = 0;
  std::vector<float> images_;  ///< one batch, normalised
};

}  // namespace sluice
