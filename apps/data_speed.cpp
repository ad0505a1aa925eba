#include "apps/data_speed.hpp"

#include <iostream>

#include "core/base/json_text.hpp"
#include "core/base/units.hpp"
#include "core/config/text.hpp"
#include "core/data/pipeline.hpp"
#include "core/train/time_budget.hpp"

namespace sluice {

DataSpeed time_data(const Experiment& experiment, const KnownImages& images, std::int64_t steps) {
  const Dataset& train = *images.dataset;
  const PipelineOptions options = training_pipeline(experiment.data, images.normalization, experiment.train.batch,
                                                    static_cast<std::uint64_t>(experiment.run.seed));
  Pipeline pipeline(train, options);
  std::int64_t epoch = 0;
  pipeline.start(epoch);
  const auto take = [&] {
    if (pipeline.next() != nullptr) return;
    pipeline.start(++epoch);
    pipeline.next();
  };
  take();
  const double begin = TimeBudget::steady_seconds();
  for (std::int64_t i = 0; i < steps; ++i) take();
  DataSpeed speed{train.name(), options.batch, steps, TimeBudget::steady_seconds() - begin, 0};
  const std::int64_t ahead = options.workers > 0 ? options.prefetch + 1 : 1;
  speed.bytes = ahead * options.batch * train.shape().count() * static_cast<std::int64_t>(sizeof(float));
  for (const std::string& note : train.take_notes()) std::cerr << "warning: " << note << "\n";
  return speed;
}

void print_data_speed(std::ostream& out, const DataSpeed& speed) {
  out << "data  " << speed.set << ": " << fixed(speed.images_per_second(), 1) << " images/s (" << speed.batches
      << (speed.batches == 1 ? " batch of " : " batches of ") << speed.batch << ", "
      << milliseconds_text(1e3 * speed.seconds / static_cast<double>(speed.batches)) << " ms each); "
      << fixed(static_cast<double>(speed.bytes) / (1 << 20), 1) << " MiB of batches at most\n";
}

void print_json_data_speed(std::ostream& out, const DataSpeed& speed) {
  const nlohmann::ordered_json data = {{"set", speed.set},
                                       {"batch", speed.batch},
                                       {"batches", speed.batches},
                                       {"seconds", speed.seconds},
                                       {"images_per_second", speed.images_per_second()},
                                       {"bytes", speed.bytes}};
  out << json_text(nlohmann::ordered_json{{"data", data}}) << "\n";
}

}  // namespace sluice
