// One pair of functions for each form of pictures. All throw Error(kData) with the reason alone.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/picture/picture.hpp"

namespace sluice {

/// A picture as it is stored: not turned yet.
struct StoredHeader {
  PictureSize size;
  int orientation = 1;  ///< of EXIF, 1 to 8
};

// What is decoded has one channel or three. Sizes are checked before, by the header.
StoredHeader jpeg_header(std::string_view bytes);
void decode_jpeg(std::string_view bytes, Picture& picture);
/// Decodes the window's part at a half, a quarter or an eighth of its size where that is still not below the target's,
/// and more than that part where it costs nothing. Returns where the window lies in `picture`.
PictureBox decode_jpeg_part(std::string_view bytes, const PictureWindow& window, Picture& picture);

StoredHeader png_header(std::string_view bytes);
void decode_png(std::string_view bytes, Picture& picture);

StoredHeader webp_header(std::string_view bytes);
void decode_webp(std::string_view bytes, Picture& picture);

/// BMP, and PPM and its grey relative.
StoredHeader bitmap_header(std::string_view bytes);
void decode_bitmap(std::string_view bytes, Picture& picture);

/// The orientation that EXIF data (a TIFF header and its first directory) give; 1 where they give none.
int exif_orientation(std::string_view exif);

}  // namespace sluice
