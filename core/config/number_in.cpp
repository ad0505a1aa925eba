#include "core/config/number_in.hpp"

#include <charconv>

namespace sluice {

std::optional<double> number_in(const std::string& text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const std::from_chars_result result = std::from_chars(text.data(), end, value);
  return result.ec == std::errc() && result.ptr == end ? std::optional<double>(value) : std::nullopt;
}

}  // namespace sluice
