#include "core/picture/decode.hpp"

#include <utility>

#include "core/base/error.hpp"
#include "core/base/file_content.hpp"
#include "core/picture/formats.hpp"

namespace sluice {

namespace {

constexpr char kExpected[] = ", expected JPEG, PNG, WebP, BMP, PPM or PGM";

bool begins(std::string_view bytes, std::string_view with, std::size_t at = 0) {
  return bytes.size() >= at + with.size() && bytes.substr(at, with.size()) == with;
}

/// The forms of other pictures that people have.
const char* foreign_form(std::string_view bytes) {
  if (begins(bytes, "GIF8")) return "a GIF picture";
  if (begins(bytes, std::string_view("II*\0", 4)) || begins(bytes, std::string_view("MM\0*", 4)))
    return "a TIFF picture, or a camera's raw one";
  if (begins(bytes, "ftypheic", 4) || begins(bytes, "ftypmif1", 4) || begins(bytes, "ftypheix", 4))
    return "a HEIF picture";
  if (begins(bytes, "ftypavif", 4)) return "an AVIF picture";
  if (begins(bytes, "\xFF\x0A") || begins(bytes, "JXL ", 4)) return "a JPEG XL picture";
  if (begins(bytes, "jP  ", 4)) return "a JPEG 2000 picture";
  if (begins(bytes, "8BPS")) return "a Photoshop file";
  if (begins(bytes, "P1") || begins(bytes, "P4")) return "a PBM picture of black and white";
  if (begins(bytes, "P7")) return "a PAM picture";
  if (begins(bytes, "<svg") || begins(bytes, "<?xml")) return "an SVG picture or another XML file";
  return nullptr;
}

PictureForm form_of(std::string_view bytes) {
  if (bytes.empty()) throw Error(ExitCode::kData, "the file is empty");
  if (begins(bytes, "\xFF\xD8\xFF")) return PictureForm::kJpeg;
  if (begins(bytes, "\x89PNG\r\n\x1A\n")) return PictureForm::kPng;
  if (begins(bytes, "RIFF") && begins(bytes, "WEBP", 8)) return PictureForm::kWebp;
  if (begins(bytes, "BM")) return PictureForm::kBitmap;
  for (const char* magic : {"P2", "P3", "P5", "P6"}) {
    if (begins(bytes, magic)) return PictureForm::kBitmap;
  }
  if (const char* const form = foreign_form(bytes)) throw Error(ExitCode::kData, concat("it is ", form, kExpected));
  const std::string content = name_content(bytes.data(), static_cast<std::int64_t>(bytes.size()));
  throw Error(ExitCode::kData, concat("it is ", content.empty() ? "no picture" : content, kExpected));
}

StoredHeader stored_header(std::string_view bytes, PictureForm form) {
#ifdef SLUICE_PICTURES
  switch (form) {
    case PictureForm::kJpeg:
      return jpeg_header(bytes);
    case PictureForm::kPng:
      return png_header(bytes);
    case PictureForm::kWebp:
      return webp_header(bytes);
    case PictureForm::kBitmap:
      break;
  }
  return bitmap_header(bytes);
#else
  static_cast<void>(bytes), static_cast<void>(form);
  require_picture_libraries("a picture");
  return {};
#endif
}

void decode_stored(std::string_view bytes, PictureForm form, Picture& picture) {
#ifdef SLUICE_PICTURES
  switch (form) {
    case PictureForm::kJpeg:
      return decode_jpeg(bytes, picture);
    case PictureForm::kPng:
      return decode_png(bytes, picture);
    case PictureForm::kWebp:
      return decode_webp(bytes, picture);
    case PictureForm::kBitmap:
      break;
  }
  decode_bitmap(bytes, picture);
#else
  static_cast<void>(bytes), static_cast<void>(form), static_cast<void>(picture);
#endif
}

/// Orientations from 5 on exchange rows and columns; the others mirror what is stored.
void turn(Picture& picture, int orientation, Picture& other) {
  if (orientation == 1) return;
  const bool transposed = orientation >= 5;
  const bool mirror_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool mirror_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const PictureSize from = picture.size;
  other.reshape(transposed ? PictureSize{from.width, from.height} : from, picture.channels);
  std::uint8_t* to = other.pixels.data();
  for (std::int64_t y = 0; y < other.size.height; ++y) {
    for (std::int64_t x = 0; x < other.size.width; ++x, to += picture.channels) {
      const std::int64_t u = transposed ? y : x, v = transposed ? x : y;
      const std::uint8_t* const pixel =
          picture.row(mirror_y ? from.height - 1 - v : v) + (mirror_x ? from.width - 1 - u : u) * picture.channels;
      for (std::int64_t c = 0; c < picture.channels; ++c) to[c] = pixel[c];
    }
  }
  std::swap(picture, other);
}

void to_channels(Picture& picture, std::int64_t channels) {
  if (channels == 1) return to_grey(picture);
  to_colour(picture);
}

#ifdef SLUICE_PICTURES
void decode_fast(std::string_view bytes, const DecodeOptions& options, const PictureWindow& window,
                 DecodeScratch& scratch, Picture& picture) {
  Picture& part = scratch.whole;
  const PictureBox box = decode_jpeg_part(bytes, window, part);
  if (options.channels == 1) to_grey(part);
  picture.reshape(window.target, part.channels);
  resize(view_of(part), box, window.target, picture.pixels.data(), scratch.resize);
  to_channels(picture, options.channels);
}
#endif

}  // namespace

bool has_picture_libraries() {
#ifdef SLUICE_PICTURES
  return true;
#else
  return false;
#endif
}

void require_picture_libraries(const std::string& where) {
  if (has_picture_libraries()) return;
  throw Error(ExitCode::kEnvironment, concat(where,
                                             ": this build of Sluice reads no pictures; install libjpeg-turbo, "
                                             "libpng and libwebp and build it again (docs/building.md)"));
}

PictureHeader read_picture_header(std::string_view bytes, std::int64_t max_pixels) {
  PictureHeader header;
  header.form = form_of(bytes);
  const StoredHeader stored = stored_header(bytes, header.form);
  header.orientation = stored.orientation;
  header.size = stored.size;
  if (header.orientation >= 5) std::swap(header.size.height, header.size.width);
  if (header.size.pixels() > max_pixels) {
    throw Error(ExitCode::kData, concat("it is ", to_string(header.size), ", ", header.size.pixels(),
                                        " pixels, more than max_pixels = ", max_pixels));
  }
  return header;
}

std::optional<std::string> find_missing_end(const PictureHeader& header, std::string_view end) {
  const auto lacks = [end](std::string_view mark) { return end.find(mark) == std::string_view::npos; };
  if (header.form == PictureForm::kJpeg && lacks("\xFF\xD9")) return "JPEG: the file ends early";
  if (header.form == PictureForm::kPng && lacks("IEND")) return "PNG: the file ends early";
  return std::nullopt;
}

void decode_picture(std::string_view bytes, const DecodeOptions& options, const ChooseWindow& choose,
                    DecodeScratch& scratch, Picture& picture) {
  const PictureHeader header = read_picture_header(bytes, options.max_pixels);
  const std::optional<PictureWindow> window = choose ? choose(header.size) : std::nullopt;
#ifdef SLUICE_PICTURES
  if (window && options.fast && header.form == PictureForm::kJpeg && header.orientation == 1)
    return decode_fast(bytes, options, *window, scratch, picture);
#endif
  decode_stored(bytes, header.form, scratch.whole);
  turn(scratch.whole, header.orientation, scratch.other);
  if (options.channels == 1) to_grey(scratch.whole);
  if (window) {
    apply_window(scratch.whole, *window, scratch.resize, picture);
  } else {
    std::swap(scratch.whole, picture);
  }
  to_channels(picture, options.channels);
}

void apply_window(const Picture& from, const PictureWindow& window, ResizeScratch& scratch, Picture& to) {
  to.reshape(window.target, from.channels);
  resize(view_of(from, window.top, window.left, window.size), window.target, to.pixels.data(), scratch);
}

}  // namespace sluice
