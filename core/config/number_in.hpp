// Texts that are numbers.
#pragma once

#include <optional>
#include <string>

namespace sluice {

/// The number that is all of the text; nothing where it is none, or more.
std::optional<double> number_in(const std::string& text);

}  // namespace sluice
