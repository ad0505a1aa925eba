#include "core/graph/group_shift.hpp"

namespace sluice {

GroupShift::GroupShift(Network& network, const std::string& group) : arena_(network.parameter_data()) {
  for (const Parameter& p : network.parameters()) {
    if (p.group != group) continue;
    for (std::int64_t i = 0; i < p.shape.count(); ++i) places_.push_back(p.offset + i);
  }
  for (const std::int64_t place : places_) values_.push_back(arena_[place]);
}

void GroupShift::by(double amount) {
  for (std::size_t i = 0; i < places_.size(); ++i) arena_[places_[i]] = values_[i] + static_cast<float>(amount);
}

}  // namespace sluice
