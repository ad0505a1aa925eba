#include "tests/core/picture/make_pictures.hpp"

#include <png.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <vector>

// clang-format off
#include <jpeglib.h>
// clang-format on

namespace sluice {

namespace {

std::string big_endian(std::uint32_t value, int size) {
  std::string text;
  for (int i = size - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i));
  return text;
}
std::string little_endian(std::uint32_t value, int size) {
  const std::string text = big_endian(value, size);
  return {text.rbegin(), text.rend()};
}

void require(bool good) {
  if (!good) throw std::runtime_error("a test picture cannot be written");
}

}  // namespace

std::string exif_of(int orientation, bool little) {
  const auto number = [little](std::uint32_t value, int size) {
    return little ? little_endian(value, size) : big_endian(value, size);
  };
  const auto shown = static_cast<std::uint32_t>(orientation);
  return std::string("Exif\0\0", 6) + (little ? "II" : "MM") + number(42, 2) + number(8, 4) + number(1, 2) +
         number(0x0112, 2) + number(3, 2) + number(1, 4) + number(shown, 2) + number(0, 2) + number(0, 4);
}

namespace {

/// A scan for each bit of each coefficient, `count` in all.
std::vector<jpeg_scan_info> single_scans(int count) {
  constexpr int kCoefficients = 64, kBits = 4;
  std::vector<jpeg_scan_info> scans;
  for (int bit = kBits; bit >= 0; --bit) {
    for (int at = 0; at < kCoefficients && static_cast<int>(scans.size()) < count; ++at)
      scans.push_back({1, {0, 0, 0, 0}, at, at, bit == kBits ? 0 : bit + 1, bit});
  }
  return scans;
}

}  // namespace

std::string jpeg_of(const Picture& picture, const JpegWriting& writing) {
  jpeg_compress_struct info;
  jpeg_error_mgr errors;
  info.err = ::jpeg_std_error(&errors);
  ::jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  ::jpeg_mem_dest(&info, &bytes, &size);
  info.image_height = static_cast<JDIMENSION>(picture.size.height);
  info.image_width = static_cast<JDIMENSION>(picture.size.width);
  info.input_components = writing.inks ? 4 : static_cast<int>(picture.channels);
  info.in_color_space = writing.inks ? JCS_CMYK : picture.channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
  ::jpeg_set_defaults(&info);
  ::jpeg_set_quality(&info, writing.quality, TRUE);
  if (writing.progressive) ::jpeg_simple_progression(&info);
  const std::vector<jpeg_scan_info> scans = single_scans(writing.scans);
  if (!scans.empty()) {
    info.scan_info = scans.data();
    info.num_scans = static_cast<int>(scans.size());
  }
  ::jpeg_start_compress(&info, TRUE);
  const std::string exif = writing.orientation != 0 ? exif_of(writing.orientation, true) : writing.exif;
  if (!exif.empty())
    ::jpeg_write_marker(&info, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(exif.data()),
                        static_cast<unsigned>(exif.size()));
  std::vector<JSAMPLE> row(static_cast<std::size_t>(picture.size.width * info.input_components));
  for (std::int64_t y = 0; y < picture.size.height; ++y) {
    const std::uint8_t* from = picture.row(y);
    if (writing.inks) {  // without black; inverted: what is stored is the light that an ink leaves
      for (std::size_t x = 0; x < row.size(); ++x) row[x] = x % 4 == 3 ? 255 : *from++;
    } else {
      row.assign(from, from + picture.row_bytes());
    }
    JSAMPROW rows = row.data();
    ::jpeg_write_scanlines(&info, &rows, 1);
  }
  ::jpeg_finish_compress(&info);
  std::string text(reinterpret_cast<const char*>(bytes), size);
  ::jpeg_destroy_compress(&info);
  std::free(bytes);
  return text;
}

std::string png_of(const Picture& picture, const PngWriting& writing) {
  std::string text;
  png_structp png = ::png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = ::png_create_info_struct(png);
  ::png_set_write_fn(
      png, &text,
      [](png_structp file, png_bytep bytes, png_size_t count) {
        static_cast<std::string*>(::png_get_io_ptr(file))->append(reinterpret_cast<const char*>(bytes), count);
      },
      nullptr);
  const bool colours = picture.channels == 3;
  const int type = writing.palette ? PNG_COLOR_TYPE_PALETTE
                                   : (colours ? PNG_COLOR_MASK_COLOR : 0) | (writing.alpha ? PNG_COLOR_MASK_ALPHA : 0);
  ::png_set_IHDR(png, info, static_cast<png_uint_32>(picture.size.width), static_cast<png_uint_32>(picture.size.height),
                 writing.bits, type, writing.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  std::vector<png_color> palette;
  for (int i = 0; i < 256; ++i) {
    palette.push_back({static_cast<png_byte>(i), static_cast<png_byte>(255 - i), static_cast<png_byte>(i / 2)});
  }
  if (writing.palette) ::png_set_PLTE(png, info, palette.data(), 256);
  std::string exif = writing.orientation != 0 ? exif_of(writing.orientation, false).substr(6) : "";
  if (!exif.empty())
    ::png_set_eXIf_1(png, info, static_cast<png_uint_32>(exif.size()), reinterpret_cast<png_bytep>(exif.data()));
  ::png_write_info(png, info);
  std::vector<std::vector<png_byte>> rows;
  for (std::int64_t y = 0; y < picture.size.height; ++y) {
    std::vector<png_byte> row;
    for (std::int64_t i = 0; i < picture.row_bytes(); ++i) {
      row.push_back(picture.row(y)[i]);
      if (writing.bits == 16) row.push_back(0x80);
      if (writing.alpha && (i + 1) % picture.channels == 0) {
        row.push_back(0);
        if (writing.bits == 16) row.push_back(0);
      }
    }
    rows.push_back(std::move(row));
  }
  std::vector<png_bytep> pointers;
  for (std::vector<png_byte>& row : rows) pointers.push_back(row.data());
  ::png_write_image(png, pointers.data());
  ::png_write_end(png, info);
  ::png_destroy_write_struct(&png, &info);
  return text;
}

std::string webp_of(const Picture& picture) {
  std::uint8_t* bytes = nullptr;
  const std::size_t size =
      ::WebPEncodeLosslessRGB(picture.pixels.data(), static_cast<int>(picture.size.width),
                              static_cast<int>(picture.size.height), static_cast<int>(picture.row_bytes()), &bytes);
  require(size > 0);
  std::string text(reinterpret_cast<const char*>(bytes), size);
  ::WebPFree(bytes);
  return text;
}

std::string animated_webp_of(const Picture& picture) {
  const int width = static_cast<int>(picture.size.width), height = static_cast<int>(picture.size.height);
  WebPAnimEncoder* const encoder = ::WebPAnimEncoderNew(width, height, nullptr);
  WebPConfig config;
  require(encoder != nullptr && ::WebPConfigInit(&config) != 0);
  config.lossless = 1;
  Picture black = picture;
  std::fill(black.pixels.begin(), black.pixels.end(), std::uint8_t{0});
  int time = 0;
  for (const Picture* each : {&picture, &const_cast<const Picture&>(black)}) {
    WebPPicture frame;
    require(::WebPPictureInit(&frame) != 0);
    frame.width = width;
    frame.height = height;
    frame.use_argb = 1;
    require(::WebPPictureImportRGB(&frame, each->pixels.data(), static_cast<int>(each->row_bytes())) != 0);
    require(::WebPAnimEncoderAdd(encoder, &frame, time, &config) != 0);
    ::WebPPictureFree(&frame);
    time += 100;
  }
  require(::WebPAnimEncoderAdd(encoder, nullptr, time, nullptr) != 0);
  WebPData data;
  require(::WebPAnimEncoderAssemble(encoder, &data) != 0);
  std::string text(reinterpret_cast<const char*>(data.bytes), data.size);
  ::WebPDataClear(&data);
  ::WebPAnimEncoderDelete(encoder);
  return text;
}

std::string bmp_of(const Picture& picture) {
  const std::int64_t padding = (4 - picture.row_bytes() % 4) % 4;
  const auto pixels = static_cast<std::uint32_t>((picture.row_bytes() + padding) * picture.size.height);
  std::string text = "BM" + little_endian(54 + pixels, 4) + little_endian(0, 4) + little_endian(54, 4) +
                     little_endian(40, 4) + little_endian(static_cast<std::uint32_t>(picture.size.width), 4) +
                     little_endian(static_cast<std::uint32_t>(picture.size.height), 4) + little_endian(1, 2) +
                     little_endian(24, 2) + little_endian(0, 4) + little_endian(pixels, 4) + std::string(16, '\0');
  for (std::int64_t y = picture.size.height - 1; y >= 0; --y) {
    for (std::int64_t x = 0; x < picture.size.width; ++x) {
      for (int c = 2; c >= 0; --c) text += static_cast<char>(picture.row(y)[3 * x + c]);
    }
    text.append(static_cast<std::size_t>(padding), '\0');
  }
  return text;
}

std::string ppm_of(const Picture& picture) {
  return std::string(picture.channels == 3 ? "P6" : "P5") + "\n# made by a test\n" +
         std::to_string(picture.size.width) + " " + std::to_string(picture.size.height) + "\n255\n" +
         std::string(picture.pixels.begin(), picture.pixels.end());
}

std::string plain_ppm_of(const Picture& picture) {
  std::string text = std::string(picture.channels == 3 ? "P3 " : "P2 ") + std::to_string(picture.size.width) + " " +
                     std::to_string(picture.size.height) + " 255\n";
  for (const std::uint8_t value : picture.pixels) text += std::to_string(value) + "\n";
  return text;
}

}  // namespace sluice
