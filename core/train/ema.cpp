// One pass over each arena for an update or a swap.
#include "core/train/ema.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/config/keys.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kGrain = 65536;

Buffer copy_of(const float* values, std::int64_t count) {
  Buffer copy(std::max<std::int64_t>(1, count) * static_cast<std::int64_t>(sizeof(float)));
  std::copy_n(values, count, copy.as<float>());
  return copy;
}

void average(float* __restrict averages, const float* __restrict values, std::int64_t count, float rest) {
  parallel_for(count, kGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) averages[i] += rest * (values[i] - averages[i]);
  });
}

void exchange_arrays(float* a, float* b, std::int64_t count) {
  parallel_for(count, kGrain,
               [=](std::int64_t begin, std::int64_t end) { std::swap_ranges(a + begin, a + end, b + begin); });
}

}  // namespace

void EmaOptions::describe(Keys& keys) {
  keys.optional("decay", decay, between(0.0, 1.0),
                "decay of the weights' moving average at each step, such as 0.999; 0: none");
  keys.optional("warmup", warmup, "begin with a smaller decay: at update t at most (1 + t) / (10 + t)");
  keys.optional("statistics_batches", statistics_batches, at_least(std::int64_t{0}),
                "before each evaluation the running statistics of the averaged weights are measured over this many "
                "training batches, at most an epoch, as torch's update_bn does; 0: they are averaged like the weights");
  keys.role(KeyRole::kContinues, {"decay", "warmup"}, "the average goes on so from here");
  keys.role(KeyRole::kContinues, {"statistics_batches"}, "the averaged weights are evaluated so from here");
  if (!keys.documenting() && decay == 0 && statistics_batches > 0)
    keys.error("statistics_batches", "there is no average; set ema.decay, or leave statistics_batches at 0");
  if (decay >= 1) keys.error("decay", "expected a number below 1: with 1 the average never moves");
}

Ema::Ema(const EmaOptions& options, const float* params, std::int64_t param_count, const float* buffers,
         std::int64_t buffer_count)
    : options_(options),
      params_(copy_of(params, param_count)),
      buffers_(copy_of(buffers, buffer_count)),
      param_count_(param_count),
      buffer_count_(buffer_count) {}

void Ema::update(const float* params, const float* buffers) {
  if (swapped_) throw Error(ExitCode::kInternal, "the weights' average was updated while it stood in their place");
  const auto t = static_cast<double>(updates_++);
  const double decay = options_.warmup ? std::min(options_.decay, (1 + t) / (10 + t)) : options_.decay;
  const auto rest = static_cast<float>(1 - decay);
  average(params_.as<float>(), params, param_count_, rest);
  average(buffers_.as<float>(), buffers, buffer_count_, rest);
}

void Ema::start_from(const float* params, const float* buffers) {
  std::copy_n(params, param_count_, params_.as<float>());
  std::copy_n(buffers, buffer_count_, buffers_.as<float>());
  updates_ = 0;
}

std::vector<Ema::State> Ema::states() const {
  return {{"weights", params_.as<float>(), param_count_}, {"buffers", buffers_.as<float>(), buffer_count_}};
}

void Ema::exchange(float* params, float* buffers) {
  exchange_arrays(params_.as<float>(), params, param_count_);
  exchange_arrays(buffers_.as<float>(), buffers, buffer_count_);
  swapped_ = !swapped_;
}

Ema::Swap::Swap(Ema& ema, float* params, float* buffers) : ema_(ema), params_(params), buffers_(buffers) {
  if (ema.swapped_) throw Error(ExitCode::kInternal, "the weights' average stands in their place already");
  ema_.exchange(params_, buffers_);
}

Ema::Swap::~Swap() {
  ema_.exchange(params_, buffers_);
}

}  // namespace sluice
