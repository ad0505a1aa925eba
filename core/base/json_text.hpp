// JSON as every program prints it: bytes that are no UTF-8, in names of files or classes, become U+FFFD.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace sluice {

/// On lines indented by `indent` for each level; on a single line where it is negative.
template <class Json>
std::string json_text(const Json& json, int indent = 2) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sluice
