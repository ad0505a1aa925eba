// How much room there is for what is printed.
#pragma once

#include <optional>

namespace sluice {

/// Whether a person reads what is written there: a terminal that has columns. The ones without are made by launchers of
/// MPI, which pass everything on.
bool is_terminal(int fd);

/// Columns of the terminal behind a descriptor: what COLUMNS says, else what the terminal says. Nothing where there is
/// no terminal, and so no limit: the reader is a file or another program.
std::optional<int> terminal_width(int fd);

}  // namespace sluice
