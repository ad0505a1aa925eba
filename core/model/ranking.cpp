#include "core/model/ranking.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace sluice {
namespace {

/// Calls use(class, probability) for each class.
template <class Use>
void each_probability(const float* logits, std::int64_t classes, const Use& use) {
  const double largest = *std::max_element(logits, logits + classes);
  double sum = 0;
  for (std::int64_t c = 0; c < classes; ++c) sum += std::exp(logits[c] - largest);
  for (std::int64_t c = 0; c < classes; ++c) use(c, std::exp(logits[c] - largest) / sum);
}

}  // namespace

void softmax(const float* logits, std::int64_t classes, float* probabilities) {
  each_probability(logits, classes,
                   [&](std::int64_t c, double probability) { probabilities[c] = static_cast<float>(probability); });
}

std::vector<RankedClass> rank_classes(const float* logits, std::int64_t classes, std::int64_t count) {
  std::vector<RankedClass> ranked;
  each_probability(logits, classes, [&](std::int64_t c, double probability) { ranked.push_back({c, probability}); });
  // By logits: probabilities of many may all be 0. No number is above or below NaN, which comes last.
  const auto place = [logits](const RankedClass& one) {
    const float logit = logits[one.label];
    return std::isnan(logit) ? -std::numeric_limits<float>::infinity() : logit;
  };
  const auto end = ranked.begin() + std::clamp<std::int64_t>(count, 0, classes);
  std::partial_sort(ranked.begin(), end, ranked.end(), [&](const RankedClass& a, const RankedClass& b) {
    return place(a) > place(b) || (place(a) == place(b) && a.label < b.label);
  });
  ranked.erase(end, ranked.end());
  return ranked;
}

}  // namespace sluice
