// Figures for people, in the unit that suits their size.
#pragma once

#include <string>

namespace sluice {

/// Operations: "37", "9999", "12.34 M", "12.34 G".
std::string operations_text(double count);

/// How long something took: "1.6 s", "12.3 min", "4.56 h".
std::string time_text(double seconds);

}  // namespace sluice
