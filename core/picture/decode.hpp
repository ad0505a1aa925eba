// Pictures as files hold them: JPEG, PNG, WebP, BMP, PPM and PGM, decoded by the libraries of those formats.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/picture/picture.hpp"
#include "core/picture/resize.hpp"

namespace sluice {

/// Whether Sluice was built with the libraries; all functions below throw Error(kEnvironment) where it was not.
bool has_picture_libraries();
/// Throws where they are missing: "where: this build of Sluice reads no pictures; ...".
void require_picture_libraries(const std::string& where);

enum class PictureForm { kJpeg, kPng, kWebp, kBitmap };

struct PictureHeader {
  PictureForm form = PictureForm::kJpeg;
  PictureSize size;     ///< as it is shown
  int orientation = 1;  ///< of EXIF: how it must be turned to be shown, 1 (not at all) to 8
};

struct DecodeOptions {
  std::int64_t channels = 3;              ///< 3 colours, or 1 grey
  std::int64_t max_pixels = 100'000'000;  ///< larger pictures are refused by their header
  bool fast = false;  ///< a JPEG may be decoded in part, and at a half, a quarter or an eighth of its size
};

/// What a picture is, by its first bytes; not whether the rest of it is there. Throws Error(kData) with the reason
/// alone: "it is a GIF picture, expected JPEG, PNG, WebP, BMP, PPM or PGM".
PictureHeader read_picture_header(std::string_view bytes, std::int64_t max_pixels);
/// A reason why the end of the file shows that some of it is missing, from its last bytes (64 are enough) and its
/// size; else nothing.
std::optional<std::string> find_missing_end(const PictureHeader& header, std::string_view end);

/// Chooses, by a picture's size, the part of it that is wanted; nothing: all of it, as it is.
using ChooseWindow = std::function<std::optional<PictureWindow>(const PictureSize&)>;

/// What decoding works in; kept from picture to picture.
struct DecodeScratch {
  Picture whole, other;
  ResizeScratch resize;
};

/// Decodes a picture, turned as it is to be shown: of what `choose` wants the target's size, else all of it. Without
/// `fast` each pixel is what the library of the format and the definition of `resize` make it. Throws Error(kData) with
/// the reason alone.
void decode_picture(std::string_view bytes, const DecodeOptions& options, const ChooseWindow& choose,
                    DecodeScratch& scratch, Picture& picture);

/// Resizes a window of `from`.
void apply_window(const Picture& from, const PictureWindow& window, ResizeScratch& scratch, Picture& to);

}  // namespace sluice
