// Keys of trainings that several processes share.
#pragma once

#include "core/config/keys.hpp"

namespace sluice {

/// kAuto: what the launcher that started this process speaks, a single process where none did.
enum class Engine { kAuto, kNone, kOpenMpi, kMpich };

/// `[distributed]`
struct DistributedOptions {
  Engine engine = Engine::kAuto;
  bool sync_batchnorm = false;
  void describe(Keys& keys);
};

}  // namespace sluice
