#include "gating/two_norms.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace sluice {

TwoNorms::TwoNorms(SlotBook& book, const ChannelGroups& groups, double eps, double momentum)
    : eps_(eps), momentum_(momentum), groups_(groups), rows_(book, groups.channels) {}

void TwoNorms::book_training(Scratch forward, Scratch& backward) {
  const std::int64_t count = ChannelSums::count(groups_);
  statistics_ = forward.book<double>(count);
  full_sums_ = backward.book<double>(count);
  base_sums_ = backward.book<double>(count);
}

void TwoNorms::declare(Declarations& declare, std::int64_t channels) {
  assert(declare.parameters.size() == kFullWeight && declare.buffers.size() == kFullMeanBuffer);
  declare.parameter("full_weight", {channels}, "norm", Init::constant(1));
  declare.parameter("full_bias", {channels}, "norm", Init::constant(0));
  declare.parameter("base_weight", {channels}, "norm", Init::constant(1));
  declare.parameter("base_bias", {channels}, "norm", Init::constant(0));
  declare.buffer("full_running_mean", {channels}, 0.0F);
  declare.buffer("full_running_var", {channels}, 1.0F);
}

template <class T>
void TwoNorms::normalise_batch(const Context& c, const Gate& gate, const T* products, const float* mean,
                               const float* variance) const {
  float *const full_mean = rows_(c.memory, kFullMean), *const full_variance = rows_(c.memory, kFullVariance);
  gate.full_statistics(products, full_mean, full_variance, c.memory[statistics_], c.share);
  update_running_statistics(groups_, full_mean, full_variance, momentum_, c.buffer[kFullMeanBuffer],
                            c.buffer[kFullVarianceBuffer], c.share);
  set_constants(c, full_mean, full_variance, mean, variance);
}

template void TwoNorms::normalise_batch(const Context&, const Gate&, const float*, const float*, const float*) const;
template void TwoNorms::normalise_batch(const Context&, const Gate&, const BFloat16*, const float*, const float*) const;

void TwoNorms::use_running(const Context& c, const float* mean, const float* variance) const {
  set_constants(c, c.buffer[kFullMeanBuffer], c.buffer[kFullVarianceBuffer], mean, variance);
}

void TwoNorms::set_constants(const Context& c, const float* full_mean, const float* full_variance, const float* mean,
                             const float* variance) const {
  const auto set = [&](Row scale, Row shift, std::size_t weight, std::size_t bias, const float* means,
                       const float* variances) {
    float *const scales = rows_(c.memory, scale), *const shifts = rows_(c.memory, shift);
    for (std::int64_t o = 0; o < groups_.channels; ++o) {
      const double factor =
          static_cast<double>(c.param[weight][o]) / std::sqrt(static_cast<double>(variances[o]) + eps_);
      scales[o] = static_cast<float>(factor);
      shifts[o] = static_cast<float>(static_cast<double>(c.param[bias][o]) - static_cast<double>(means[o]) * factor);
    }
  };
  set(kFullScale, kFullShift, kFullWeight, kFullBias, full_mean, full_variance);
  set(kBaseScale, kBaseShift, kBaseWeight, kBaseBias, mean, variance);
}

NormPair TwoNorms::constants(const Memory& memory) const {
  return {rows_(memory, kFullScale), rows_(memory, kFullShift), rows_(memory, kBaseScale), rows_(memory, kBaseShift),
          rows_(memory, kFullMean)};
}

// With x^ = (x - mean) / deviation and G the gradient of the affine result: diff_bias = sum(G), diff_weight = sum(G
// x^), diff_x = scale (G - mean(G) - x^ mean(G x^)), scale = weight / deviation; the gate has added scale G.
void TwoNorms::finish_backward(const Context& c, ChannelSums& full, ChannelSums& base, const float* mean,
                               const float* variance, float* b, float* factor, GateCorrection& correction) const {
  const double count = static_cast<double>(groups_.images * groups_.rows);
  const auto inverse = [&](const float* variances, std::int64_t o) {
    return 1.0 / std::sqrt(static_cast<double>(variances[o]) + eps_);
  };
  const auto add_parameters = [&](const ChannelSums& sums, const float* variances, std::size_t weight,
                                  std::size_t bias) {
    for (std::int64_t o = 0; o < groups_.channels; ++o) {
      c.diff_param[bias][o] += static_cast<float>(sums.first(o));
      c.diff_param[weight][o] += static_cast<float>(sums.second(o) * inverse(variances, o));
    }
  };
  const auto add_correction = [&](ChannelSums& sums, const float* scale, const float* variances, float* shift,
                                  float* slope) {
    sums.add_gradients(c.share);
    for (std::int64_t o = 0; o < groups_.channels; ++o) {
      const double s = static_cast<double>(scale[o]), i = inverse(variances, o);
      shift[o] += static_cast<float>(s * sums.first(o) / count);
      slope[o] += static_cast<float>(s * i * i * sums.second(o) / count);
    }
  };
  const Memory& m = c.memory;
  float *const full_b = rows_(m, kFullB), *const full_c = rows_(m, kFullC);
  const float* const full_variance = rows_(m, kFullVariance);
  std::fill_n(full_b, groups_.channels, 0.0F);
  std::fill_n(full_c, groups_.channels, 0.0F);
  add_parameters(full, full_variance, kFullWeight, kFullBias);
  add_parameters(base, variance, kBaseWeight, kBaseBias);
  add_correction(full, rows_(m, kFullScale), full_variance, full_b, full_c);
  add_correction(base, rows_(m, kBaseScale), variance, b, factor);
  correction.mean = mean;
  correction.b = b;
  correction.c = factor;
  correction.full_mean = rows_(m, kFullMean);
  correction.full_b = full_b;
  correction.full_c = full_c;
}

}  // namespace sluice
