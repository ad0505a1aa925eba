#include "core/graph/layer.hpp"

#include <cmath>

namespace sluice {

Layer::~Layer() = default;

Init Init::kaiming(std::int64_t fan_in) {
  return normal(std::sqrt(2.0 / static_cast<double>(fan_in)));
}

int Declarations::parameter(std::string name, Shape shape, std::string group, Init init) {
  parameters.push_back({std::move(name), std::move(shape), std::move(group), init});
  return static_cast<int>(parameters.size()) - 1;
}

int Declarations::buffer(std::string name, Shape shape, float initial) {
  buffers.push_back({std::move(name), std::move(shape), initial, false});
  return static_cast<int>(buffers.size()) - 1;
}

int Declarations::count(std::string name, Role role) {
  counts.push_back({std::move(name), role});
  return static_cast<int>(counts.size()) - 1;
}

int Declarations::sum(std::string name, Role role) {
  sums.push_back({std::move(name), role});
  return static_cast<int>(sums.size()) - 1;
}

}  // namespace sluice
