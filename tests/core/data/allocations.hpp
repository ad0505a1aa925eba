// Counts the allocations of a test program.
#pragma once

namespace sluice {

/// Calls of operator new so far, by all threads and libraries of the program.
long count_allocations();

}  // namespace sluice
