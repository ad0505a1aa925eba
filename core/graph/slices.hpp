// How many images of a batch inference runs at a time.
#pragma once

#include <cstdint>

#include "core/graph/executor.hpp"
#include "core/graph/network.hpp"

namespace sluice {

/// All of options.batch, or where the results of a layer would then leave the caches before the next layer reads them:
/// a part that divides it. ResNet-20 infers 128 images in four slices: up to 1.2 times as fast where neighbours use the
/// last cache, as fast where they do not (AMD Zen 3, two threads).
/// Whole where an image's result depends on others (Declarations::mixes_images), and where decisions are recorded.
std::int64_t slice_of(const Network& network, const ExecutorOptions& options);

}  // namespace sluice
