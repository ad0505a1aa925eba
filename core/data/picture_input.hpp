// Pictures of any size as a network takes them: what evaluations do to those of its data set.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/data/options.hpp"
#include "core/picture/transform.hpp"

namespace sluice {

/// Immutable: any number of threads may use one.
class PictureInput {
 public:
  /// `image`: what the network takes.
  PictureInput(const DataOptions& options, const ImageShape& image);

  /// Makes the bytes of a picture's file into an image, height x width x channels bytes: decoded, and transformed as
  /// `eval_transforms` says. What then has another size gets zeros around it where the data set does that (pad_to) and
  /// it is small enough; else the largest part of the right shape in its middle is resized. Returns whether that was
  /// done. Throws Error(kData) with the reason alone.
  bool decode(std::string_view bytes, std::uint8_t* image) const;
  /// The same of a file; a symbolic link is none.
  bool read(const std::string& path, std::uint8_t* image) const;

 private:
  ImageShape image_;
  Transforms transforms_;
  std::int64_t channels_;  ///< that are decoded
  std::int64_t max_pixels_;
  bool pads_;
};

}  // namespace sluice
