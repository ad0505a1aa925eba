// How fast ranks reach each other.
#pragma once

#include "apps/rank_model.hpp"
#include "core/distributed/communicator.hpp"

namespace sluice {

/// Of a steady clock.
double now_ms();
/// Collective: returns when all ranks are here.
void begin_together(Communicator& ranks);

/// Collective. `bucket_bytes`: of an exchange as trainings have them.
LinkSpeed measure_link(Communicator& ranks, std::int64_t bucket_bytes);

}  // namespace sluice
