#include "core/graph/layer.hpp"

#include <cmath>

#include "core/base/text_stream.hpp"

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

int Declarations::count(std::string name) {
  counts.push_back(std::move(name));
  return static_cast<int>(counts.size()) - 1;
}

int Declarations::sum(std::string name) {
  sums.push_back(std::move(name));
  return static_cast<int>(sums.size()) - 1;
}

int Setup::request_saved(std::int64_t bytes) {
  saved_bytes.push_back(bytes);
  return static_cast<int>(saved_bytes.size()) - 1;
}

void Setup::request_scratch(std::int64_t bytes) {
  scratch_bytes = std::max(scratch_bytes, bytes);
}

int Setup::request_kept(std::int64_t bytes) {
  kept_bytes.push_back(bytes);
  return static_cast<int>(kept_bytes.size()) - 1;
}

bool is_reference_kernel(const std::string& kernel) {
  // "ref:any", "ref_int8:any", "gemm:ref"; several names are separated by spaces.
  TextReader names(kernel);
  std::string name;
  while (names >> name) {
    if (name.rfind("ref", 0) == 0 || name.find(":ref") != std::string::npos) return true;
  }
  return false;
}

}  // namespace sluice
