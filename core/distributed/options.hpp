// Keys of trainings that several processes share.
#pragma once

#include "core/config/keys.hpp"

namespace sluice {

/// kAuto: what the launcher that started this process speaks, a single process where none did.
enum class Engine { kAuto, kNone, kOpenMpi, kMpich };

/// How gradients travel.
enum class WireType { kF32, kBF16 };

/// `[distributed]`
struct DistributedOptions {
  enum class Batch { kGlobal, kPerRank };
  enum class LrScaling { kNone, kLinear, kSqrt };

  Engine engine = Engine::kAuto;
  bool sync_batchnorm = false;
  WireType gradients = WireType::kF32;
  Batch batch = Batch::kGlobal;  ///< what `[train]` batch is
  LrScaling lr_scaling = LrScaling::kNone;
  bool helper = false;  ///< a thread that looks after transfers
  void describe(Keys& keys);
  /// How many times `[train]` batch a step of so many ranks takes.
  std::int64_t batches(std::int64_t ranks) const { return batch == Batch::kPerRank ? ranks : 1; }
  /// Factor on `[optimizer]` lr.
  double lr_factor(std::int64_t ranks) const;
};

}  // namespace sluice
