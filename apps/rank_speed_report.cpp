// How the figures of ranks that train together are printed.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "apps/rank_speed.hpp"
#include "core/base/json_text.hpp"
#include "core/base/parallel.hpp"
#include "core/base/table.hpp"
#include "core/base/units.hpp"
#include "core/config/text.hpp"
#include "core/distributed/gradient_reducer.hpp"
#include "core/train/benchmark.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kPredicted[] = {8, 16, 32, 64, 128, 256, 512, 1024};

const char* name_of(WireType wire) {
  return wire == WireType::kF32 ? "fp32" : "bf16";
}

std::string mib(std::int64_t bytes) {
  return fixed(static_cast<double>(bytes) / (1 << 20), 2) + " MiB";
}

double share_early(const RankSpeed& speed) {
  return speed.bytes_sent == 0 ? 0 : static_cast<double>(speed.bytes_early) / static_cast<double>(speed.bytes_sent);
}

/// Milliseconds of a step of so many ranks, with buckets as they would have.
double predicted_ms(const RankSpeed& speed, std::int64_t ranks, bool overlap = true) {
  const std::int64_t joined = GradientReducer::bucket_for(ranks) / GradientReducer::bucket_for(speed.ranks);
  const StepTrace step = with_joined_buckets(speed.alone, std::max<std::int64_t>(joined, 1));
  return predicted_step_ms(step, speed.link, ranks, overlap);
}

/// Images per second of so many ranks, each with as many images as the root has.
double predicted_speed(const RankSpeed& speed, std::int64_t ranks) {
  return 1e3 * static_cast<double>(ranks * speed.own_batch) / predicted_ms(speed, ranks);
}

double largest_spread(const RankSpeed& speed) {
  double largest = 0;
  for (const auto& [kind, spread] : speed.spreads) largest = std::max(largest, spread);
  return largest;
}

void print_prediction(std::ostream& out, const RankSpeed& speed) {
  const auto predicted = [&](bool overlap) { return milliseconds_text(predicted_ms(speed, speed.ranks, overlap)); };
  out << "\nprediction, with " << speed.own_batch << " images on each rank; of " << speed.ranks << " ranks "
      << predicted(true) << " ms a step were predicted, " << milliseconds_text(speed.step_ms)
      << " measured; without overlap " << predicted(false) << " and " << milliseconds_text(speed.apart_ms) << "\n";
  Table table({{"ranks"}, {"step ms"}, {"without overlap"}, {"images/s"}, {"efficiency"}});
  for (const std::int64_t ranks : kPredicted) {
    const double step = predicted_ms(speed, ranks);
    table.add({concat(ranks), milliseconds_text(step), milliseconds_text(predicted_ms(speed, ranks, false)),
               fixed(predicted_speed(speed, ranks), 0), fixed(speed.alone.step_ms / step, 3)});
  }
  table.print(out, std::nullopt, "  ");
}

}  // namespace

void print_rank_speed(std::ostream& out, const RankSpeed& speed, bool predict) {
  out << speed.ranks << " ranks over " << speed.library << ", each with " << num_threads()
      << (num_threads() == 1 ? " thread" : " threads") << "; batch " << speed.batch << ", of which " << speed.own_batch
      << " on the first rank\n"
      << "  step               " << milliseconds_text(speed.step_ms) << " ms, " << fixed(speed.images_per_second(), 1)
      << " images per second; " << milliseconds_text(speed.exposed_ms) << " ms of it waiting for gradients\n"
      << "  without overlap    " << milliseconds_text(speed.apart_ms) << " ms; "
      << milliseconds_text(speed.reduction_ms) << " ms of it the reduction\n"
      << "  without reduction  " << milliseconds_text(speed.alone.step_ms) << " ms; reductions cost "
      << milliseconds_text(speed.alone.work_ms) << " ms of computing besides\n"
      << "  on the wire        " << mib(speed.bytes_sent) << " (" << speed.bytes_sent
      << " bytes) sent by a rank in a step, " << name_of(speed.wire) << " in " << speed.buckets << " buckets; "
      << fixed(100 * share_early(speed), 1) << " % had arrived when backward was over\n"
      << "  link               latency " << fixed(1e3 * speed.link.latency_ms, 1) << " us, "
      << fixed(1e3 * speed.link.message_ms, 1) << " us a message, " << fixed(speed.link.bytes_per_ms / 1e6, 3)
      << " GB/s; beside computing " << speed.link.asks << (speed.link.asks == 1 ? " ask" : " asks") << " and "
      << milliseconds_text(speed.link.busy_ms_per_byte * (1 << 20)) << " ms a MiB\n";
  const std::string unquiet = unquiet_text("kinds of step", speed.spreads);
  if (!unquiet.empty()) out << "  " << unquiet << "\n";
  if (predict) print_prediction(out, speed);
}

void print_json_rank_speed(std::ostream& out, const RankSpeed& speed, bool predict) {
  nlohmann::ordered_json json = {{"ranks", speed.ranks},
                                 {"library", speed.library},
                                 {"threads", num_threads()},
                                 {"batch", speed.batch},
                                 {"own_batch", speed.own_batch},
                                 {"gradients", name_of(speed.wire)},
                                 {"images_per_second", speed.images_per_second()},
                                 {"step_ms", speed.step_ms},
                                 {"exposed_ms", speed.exposed_ms},
                                 {"apart_ms", speed.apart_ms},
                                 {"reduction_ms", speed.reduction_ms},
                                 {"alone_ms", speed.alone.step_ms},
                                 {"spread", largest_spread(speed)},
                                 {"work_ms", speed.alone.work_ms},
                                 {"buckets", speed.buckets},
                                 {"bytes_sent", speed.bytes_sent},
                                 {"bytes_early", speed.bytes_early},
                                 {"latency_ms", speed.link.latency_ms},
                                 {"message_ms", speed.link.message_ms},
                                 {"bytes_per_ms", speed.link.bytes_per_ms},
                                 {"asks", speed.link.asks},
                                 {"busy_ms_per_byte", speed.link.busy_ms_per_byte},
                                 {"predicted_ms", predicted_ms(speed, speed.ranks)},
                                 {"predicted_apart_ms", predicted_ms(speed, speed.ranks, false)}};
  if (predict) {
    for (const std::int64_t ranks : kPredicted) {
      const double step = predicted_ms(speed, ranks);
      json["prediction"].push_back({{"ranks", ranks},
                                    {"step_ms", step},
                                    {"images_per_second", predicted_speed(speed, ranks)},
                                    {"efficiency", speed.alone.step_ms / step}});
    }
  }
  out << json_text(json) << "\n";
}

}  // namespace sluice
