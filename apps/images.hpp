// Images of a data set for timings and plans.
#pragma once

#include "apps/load.hpp"
#include "core/checkpoint/checkpoint.hpp"
#include "core/data/dataset.hpp"
#include "core/train/benchmark.hpp"

namespace sluice {

/// The first images of a set, whole batches of eval.batch: `most` images where that is more than one; all of a set that
/// has not one batch. Throws Error(kData) where too few of its pictures can be read.
BenchmarkImages read_images(const Experiment& experiment, const KnownImages& known, std::int64_t most = 128);

}  // namespace sluice
