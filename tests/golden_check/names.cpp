#include "tests/golden_check/names.hpp"

namespace sluice {
namespace {

std::pair<std::string, std::string> split_last(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos) return {"", name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

}  // namespace

GoldenNames::GoldenNames(const Network& network) {
  for (const Parameter& p : network.parameters()) places_.push_back({p.path(), p.shape, p.offset, false});
  for (const StateBuffer& b : network.buffers()) {
    if (!is_ours(b.name)) places_.push_back({b.path(), b.shape, b.offset, true});
  }
}

const NamedPlace* GoldenNames::at(const std::string& path) const {
  for (const NamedPlace& place : places_) {
    if (place.path == path) return &place;
  }
  return nullptr;
}

const NamedPlace* GoldenNames::find(const std::string& state_dict_name) const {
  const auto [layer, name] = split_last(state_dict_name);
  if (const NamedPlace* own = at(layer + "/" + name)) return own;
  const auto [outer, module] = split_last(layer);
  if (module != "bn") return nullptr;
  for (const char* prefix : {"", "gate_"}) {
    if (const NamedPlace* inner = at(outer + "/" + prefix + name)) return inner;
  }
  return nullptr;
}

bool is_ours(const std::string& buffer) {
  return buffer == "src_scale";
}

bool is_counter(const std::string& state_dict_name) {
  return split_last(state_dict_name).second == "num_batches_tracked";
}

Shape squeezed(const Shape& shape) {
  std::vector<std::int64_t> dims;
  for (std::int64_t d : shape.dims()) {
    if (d != 1) dims.push_back(d);
  }
  return Shape(dims);
}

}  // namespace sluice
