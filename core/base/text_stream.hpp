// String streams that throw std::bad_alloc where memory does not suffice. The standard's own only set a flag, and
// leave a hole in the text.
#pragma once

#include <sstream>
#include <string>

namespace sluice {

class TextWriter : public std::ostringstream {
 public:
  TextWriter() { exceptions(std::ios::badbit); }
};

class TextReader : public std::istringstream {
 public:
  explicit TextReader(const std::string& text) : std::istringstream(text) { exceptions(std::ios::badbit); }
};

}  // namespace sluice
