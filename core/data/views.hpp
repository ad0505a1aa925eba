// Data sets that show another one differently: some of its images, or its images padded and with more channels.
#pragma once

#include <memory>
#include <vector>

#include "core/data/dataset.hpp"

namespace sluice {

/// The images of `base` at the ascending `indices`.
std::unique_ptr<Dataset> make_subset(std::shared_ptr<const Dataset> base, std::vector<std::int64_t> indices);

/// `base` with zeros around its images and its one channel repeated, as `pad_to` and `channels` say; `base` itself
/// where they change nothing. An odd row or column of padding goes to the bottom or right. Throws Error(kData) where
/// the images do not fit.
std::shared_ptr<const Dataset> make_padded(std::shared_ptr<const Dataset> base, std::int64_t pad_to,
                                           std::int64_t channels);

/// Splits `base` at random into what is trained on and what is held out, both in the order of `base`. Throws
/// Error(kData) where it has not enough images.
TrainingSets hold_out(std::shared_ptr<const Dataset> base, HeldOut held_out);

}  // namespace sluice
