#include "core/graph/layer.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"

namespace sluice {
namespace {

/// `from` refers to LAYER:NAME, and layers have neither blanks nor colons in their names.
template <class Spec>
void check_name(const std::string& name, const std::vector<Spec>& specs, const char* what) {
  const bool word =
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == std::string::npos;
  if (name.empty() || !word)
    throw Error(ExitCode::kInternal, concat("a layer declares the ", what, " '", name, "', which is no name"));
  if (std::any_of(specs.begin(), specs.end(), [&](const Spec& spec) { return spec.name == name; }))
    throw Error(ExitCode::kInternal, concat("a layer declares the ", what, " '", name, "' twice"));
}

}  // namespace

Layer::~Layer() = default;

Init Init::kaiming(std::int64_t fan_in) {
  return normal(std::sqrt(2.0 / static_cast<double>(fan_in)));
}

int Declarations::result(std::string name, Shape shape, std::optional<DataType> type) {
  check_name(name, more_dst, "result");
  more_dst.push_back({std::move(name), std::move(shape), type});
  return static_cast<int>(more_dst.size()) - 1;
}

int Declarations::input(std::string name, Shape shape, DataType type) {
  check_name(name, inputs, "input");
  inputs.push_back({std::move(name), std::move(shape), type});
  return static_cast<int>(inputs.size()) - 1;
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
