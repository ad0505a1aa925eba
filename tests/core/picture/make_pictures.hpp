// Pictures as bytes of files, for tests: written by the libraries of their formats, or by hand where that is easy.
#pragma once

#include <cstdint>
#include <string>

#include "core/picture/picture.hpp"
#include "tests/core/picture/patterns.hpp"

namespace sluice {

struct JpegWriting {
  int quality = 90;
  bool progressive = false, inks = false;  ///< inks: CMYK of a picture of 3 channels, inverted as Adobe's are
  int scans = 0;        ///< progressive, of a grey picture: this many, each with a bit of one coefficient
  int orientation = 0;  ///< EXIF where it is not 0
  std::string exif;     ///< other EXIF data
};
std::string jpeg_of(const Picture& picture, const JpegWriting& writing = {});

struct PngWriting {
  int bits = 8;
  bool palette = false, alpha = false, interlaced = false;
  int orientation = 0;
};
std::string png_of(const Picture& picture, const PngWriting& writing = {});

std::string webp_of(const Picture& picture);
/// Two frames, of which the second is black.
std::string animated_webp_of(const Picture& picture);

std::string bmp_of(const Picture& picture);
std::string ppm_of(const Picture& picture);
/// The same with numbers as text.
std::string plain_ppm_of(const Picture& picture);

/// EXIF data that say this orientation, with the numbers' bytes in either order.
std::string exif_of(int orientation, bool little);

}  // namespace sluice
