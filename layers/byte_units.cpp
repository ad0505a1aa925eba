#include "layers/byte_units.hpp"

#include <algorithm>
#include <cmath>

#include "core/graph/op.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostShort = 32767;  // in 16 bits
constexpr std::size_t kPartners = 16;       // that are tried

/// The largest magnitude of sums of products of one unit, or two, with levels up to kMostInt8Level: by output and half
/// of the unit, of what is above 0 and below 0.
class UnitSums {
 public:
  /// `levels`: of the block's outputs, `inputs` each.
  UnitSums(const float* levels, std::int64_t outputs, std::int64_t inputs, std::int64_t units)
      : each_(static_cast<std::size_t>(4 * outputs)), sums_(static_cast<std::size_t>(units) * each_) {
    for (std::int64_t o = 0; o < outputs; ++o) {
      for (std::int64_t i = 0; i < inputs; ++i) {
        const auto level = static_cast<int>(levels[o * inputs + i]);
        const std::int64_t half = i % 4 / 2, side = level < 0 ? 1 : 0;
        sums_[static_cast<std::size_t>(i / 4) * each_ + static_cast<std::size_t>(4 * o + 2 * half + side)] +=
            std::abs(level);
      }
    }
  }
  bool fit(std::size_t unit, std::size_t other) const {
    const int *const a = sums_.data() + unit * each_, *const b = sums_.data() + other * each_;
    for (std::size_t k = 0; k < each_; ++k) {
      if (kMostInt8Level * (a[k] + b[k]) > kMostShort) return false;
    }
    return true;
  }

 private:
  std::size_t each_;
  std::vector<int> sums_;
};

}  // namespace

std::vector<std::size_t> order_units(const float* levels, std::int64_t outputs, std::int64_t inputs,
                                     std::int32_t& pairs) {
  const auto units = static_cast<std::size_t>(inputs / 4);
  const UnitSums sums(levels, outputs, inputs, inputs / 4);
  std::vector<std::size_t> order, singles, rest(units);
  for (std::size_t u = 0; u < units; ++u) rest[u] = units - 1 - u;
  while (!rest.empty()) {
    const std::size_t unit = rest.back();
    rest.pop_back();
    const std::size_t tried = std::min(kPartners, rest.size());
    const auto partner = std::find_if(rest.rbegin(), rest.rbegin() + static_cast<std::ptrdiff_t>(tried),
                                      [&](std::size_t other) { return sums.fit(unit, other); });
    if (partner == rest.rbegin() + static_cast<std::ptrdiff_t>(tried)) {
      singles.push_back(unit);
      continue;
    }
    order.push_back(unit);
    order.push_back(*partner);
    rest.erase(std::next(partner).base());
  }
  pairs = static_cast<std::int32_t>(order.size() / 2);
  order.insert(order.end(), singles.begin(), singles.end());
  return order;
}

}  // namespace sluice
