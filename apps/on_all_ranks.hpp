// The frame of programs that several ranks run together.
#pragma once

#include <functional>

#include "core/distributed/communicator.hpp"

namespace sluice {

/// Runs `work` on every rank. What all have thrown (CommonError) the root throws again and the others turn into their
/// exit code; what one alone throws would leave the others waiting: it says so, as the program of this name, and ends
/// them all.
int on_all_ranks(const char* program, Communicator& ranks, const std::function<int()>& work);

}  // namespace sluice
