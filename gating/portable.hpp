// Gated layers as standard operators: both products, and a selection by the same decisions (exact, but nothing is
// skipped).
#pragma once

namespace sluice {

class Registry;

void register_gated_translators(Registry& registry);

}  // namespace sluice
