#include "core/base/shape.hpp"

namespace sluice {

std::int64_t Shape::count() const {
  std::int64_t n = 1;
  for (std::int64_t d : dims_) n *= d;
  return n;
}

std::string to_string(const Shape& shape) {
  if (shape.rank() == 0) return "scalar";
  std::string text;
  for (std::int64_t d : shape.dims()) text += (text.empty() ? "" : "x") + std::to_string(d);
  return text;
}

}  // namespace sluice
