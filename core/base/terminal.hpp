// How much room there is for what is printed.
#pragma once

#include <optional>

namespace sluice {

/// Columns of the terminal behind a descriptor: what COLUMNS says, else what the terminal says, 80 where it does not.
/// Nothing where there is no terminal, and so no limit: the reader is a file or another program.
std::optional<int> terminal_width(int fd);

}  // namespace sluice
