// Decodes every picture of a source, to see that it can be, and spools what is to be stored of it.
#pragma once

#include <cstdint>

#include "apps/pack/source.hpp"
#include "apps/pack/spool.hpp"
#include "core/picture/transform.hpp"
#include "core/train/log.hpp"

namespace sluice {

struct PackOptions {
  Transforms pixels;  ///< stored are the pixels after them, all of one size; empty: the bytes of the file
  std::int64_t channels = 3;
  std::int64_t max_pixels = 0;
  int threads = 1;
};

/// Goes on behind the pictures that the spool has. Throws Error(kStopped) where a stop signal came: the spool then
/// keeps what was done. Throws Error(kData) where the source is not the one that the spool is of.
void pack_pictures(PictureSource& source, const PackOptions& options, Spool& spool, Log& log);

}  // namespace sluice
