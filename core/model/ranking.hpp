// What logits say: probabilities, and the classes in their order.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice {

/// exp(logit) divided by the sum of these over the classes of one image, in another place than the logits.
void softmax(const float* logits, std::int64_t classes, float* probabilities);

struct RankedClass {
  std::int64_t label = 0;
  double probability = 0;
};
/// The `count` most probable classes of one image, or all where there are fewer: the most probable one first, of equal
/// ones the one with the smaller label.
std::vector<RankedClass> rank_classes(const float* logits, std::int64_t classes, std::int64_t count);

}  // namespace sluice
