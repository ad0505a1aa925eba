// What the name of a column of metrics says.
#pragma once

#include <string>

namespace sluice {

/// It is about one layer, "val_density/conv1": people who read a whole run do not want all of these.
inline bool is_of_layer(const std::string& column) {
  return column.find('/') != std::string::npos;
}

}  // namespace sluice
