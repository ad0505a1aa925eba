#include "gating/two_norms.hpp"

#include <cmath>

namespace sluice {

void TwoNorms::declare(Declarations& declare, std::int64_t channels) {
  full_weight_ = declare.parameter("full_weight", {channels}, "norm", Init::constant(1));
  full_bias_ = declare.parameter("full_bias", {channels}, "norm", Init::constant(0));
  base_weight_ = declare.parameter("base_weight", {channels}, "norm", Init::constant(1));
  base_bias_ = declare.parameter("base_bias", {channels}, "norm", Init::constant(0));
  full_running_mean_ = declare.buffer("full_running_mean", {channels}, 0.0F);
  full_running_var_ = declare.buffer("full_running_var", {channels}, 1.0F);
}

void TwoNorms::setup(Setup& setup, const ChannelGroups& groups, double eps, double momentum) {
  groups_ = groups;
  eps_ = eps;
  momentum_ = momentum;
  kept_ = setup.request_kept(kArrays * groups.padded() * 4);
}

float* TwoNorms::array(const Context& c, Array which) const {
  return static_cast<float*>(c.kept[static_cast<std::size_t>(kept_)]) + which * groups_.padded();
}

template <class T>
void TwoNorms::normalise_batch(Context& c, const Gate& gate, const T* products, const float* base_mean,
                               const float* base_variance, void* scratch) const {
  float* const mean = array(c, kFullMean);
  float* const variance = array(c, kFullVariance);
  gate.full_statistics(products, mean, variance, scratch);
  update_running_statistics(groups_, mean, variance, momentum_, c.buffer[static_cast<std::size_t>(full_running_mean_)],
                            c.buffer[static_cast<std::size_t>(full_running_var_)]);
  set_constants(c, mean, variance, base_mean, base_variance);
}

template void TwoNorms::normalise_batch(Context&, const Gate&, const float*, const float*, const float*, void*) const;
template void TwoNorms::normalise_batch(Context&, const Gate&, const BFloat16*, const float*, const float*,
                                        void*) const;

void TwoNorms::use_running(Context& c, const float* base_mean, const float* base_variance) const {
  set_constants(c, c.buffer[static_cast<std::size_t>(full_running_mean_)],
                c.buffer[static_cast<std::size_t>(full_running_var_)], base_mean, base_variance);
}

void TwoNorms::set_constants(Context& c, const float* full_mean, const float* full_variance, const float* base_mean,
                             const float* base_variance) const {
  const auto set = [&](Array scale, Array shift, int weight, int bias, const float* mean, const float* variance) {
    for (std::int64_t o = 0; o < groups_.channels; ++o) {
      const double factor = static_cast<double>(c.param[static_cast<std::size_t>(weight)][o]) /
                            std::sqrt(static_cast<double>(variance[o]) + eps_);
      const double beta = static_cast<double>(c.param[static_cast<std::size_t>(bias)][o]);
      array(c, scale)[o] = static_cast<float>(factor);
      array(c, shift)[o] = static_cast<float>(beta - static_cast<double>(mean[o]) * factor);
    }
  };
  set(kFullScale, kFullShift, full_weight_, full_bias_, full_mean, full_variance);
  set(kBaseScale, kBaseShift, base_weight_, base_bias_, base_mean, base_variance);
}

NormPair TwoNorms::constants(const Context& c) const {
  return {array(c, kFullScale), array(c, kFullShift), array(c, kBaseScale), array(c, kBaseShift), array(c, kFullMean)};
}

// With x^ = (x - mean) / deviation and G the gradient of the affine result: diff_bias = sum(G), diff_weight = sum(G
// x^), diff_x = scale (G - mean(G) - x^ mean(G x^)), scale = weight / deviation; the gate has added scale G.
void TwoNorms::finish_backward(Context& c, const ChannelSums& full, const ChannelSums& base, const float* base_mean,
                               const float* base_variance, float* b, float* factor, GateCorrection& correction) const {
  const double count = static_cast<double>(groups_.images * groups_.rows);
  const auto finish = [&](const ChannelSums& sums, const float* scale, const float* variance, int weight, int bias,
                          std::int64_t o, float& shift, float& slope) {
    const double s = static_cast<double>(scale[o]), inverse = 1.0 / std::sqrt(static_cast<double>(variance[o]) + eps_);
    c.diff_param[static_cast<std::size_t>(bias)][o] += static_cast<float>(sums.first(o));
    c.diff_param[static_cast<std::size_t>(weight)][o] += static_cast<float>(sums.second(o) * inverse);
    shift += static_cast<float>(s * sums.first(o) / count);
    slope += static_cast<float>(s * inverse * inverse * sums.second(o) / count);
  };
  for (std::int64_t o = 0; o < groups_.channels; ++o) {
    array(c, kFullB)[o] = array(c, kFullC)[o] = 0;
    finish(full, array(c, kFullScale), array(c, kFullVariance), full_weight_, full_bias_, o, array(c, kFullB)[o],
           array(c, kFullC)[o]);
    finish(base, array(c, kBaseScale), base_variance, base_weight_, base_bias_, o, b[o], factor[o]);
  }
  correction.mean = base_mean;
  correction.b = b;
  correction.c = factor;
  correction.full_mean = array(c, kFullMean);
  correction.full_b = array(c, kFullB);
  correction.full_c = array(c, kFullC);
}

}  // namespace sluice
