// Characters that look like those a configuration is made of, as word processors and web pages put them in.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace sluice {

/// The first of them in `text`: "a no-break space (U+00A0) at column 7; use a plain space"; "" where there is none.
/// `place` is the word for positions, which count characters from 1.
std::string lookalike_in(const std::string& text, const char* place = "column");

/// The same about the character that begins at text[at] and is one.
std::string describe_lookalike(const std::string& text, std::size_t at, const char* place);

/// Where a value without quotes begins or ends with one, has one of no width inside, or a space before a comment sign
/// that does not count as one: nobody means that.
std::optional<std::size_t> lookalike_around(const std::string& value);

}  // namespace sluice
