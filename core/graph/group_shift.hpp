// Learned numbers of a group moved together, such as thresholds that decide how much is computed: a knob that needs no
// training.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/graph/network.hpp"

namespace sluice {

/// All parameters of a group, whatever layers they belong to. While it lives, `by` says where they stand; at the end
/// they are as they were. Executors see a move when they are refreshed. The network must outlive it.
class GroupShift {
 public:
  GroupShift(Network& network, const std::string& group);
  ~GroupShift() { by(0); }
  GroupShift(const GroupShift&) = delete;
  GroupShift& operator=(const GroupShift&) = delete;

  /// The network has none.
  bool empty() const { return places_.empty(); }
  /// Adds to the numbers as they were in the beginning.
  void by(double amount);

 private:
  float* arena_;
  std::vector<std::int64_t> places_;
  std::vector<float> values_;
};

}  // namespace sluice
