// Text in lines that fit.
#pragma once

#include <iosfwd>
#include <string>

namespace sluice {

/// Wraps words at the width of the terminal, at 100 columns where it is wider or there is none; so does print_columns
/// (core/config/text.hpp).
void print_paragraph(std::ostream& out, const std::string& text);

}  // namespace sluice
