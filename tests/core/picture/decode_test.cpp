// Pictures of every form and kind decode to their pixels; damaged, foreign and monstrous ones are refused in words.
#include "core/picture/decode.hpp"

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "tests/core/picture/compare.hpp"
#include "tests/core/picture/make_pictures.hpp"

namespace sluice {
namespace {

Picture decoded(const std::string& bytes, const DecodeOptions& options = {}, const ChooseWindow& choose = {}) {
  DecodeScratch scratch;
  Picture picture;
  decode_picture(bytes, options, choose, scratch, picture);
  return picture;
}

std::string refusal(const std::string& bytes, std::int64_t max_pixels = 1'000'000) {
  try {
    DecodeOptions options;
    options.max_pixels = max_pixels;
    decoded(bytes, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    return error.what();
  }
  return "no error";
}

std::string first(const std::string& bytes, double share) {
  return bytes.substr(0, static_cast<std::size_t>(share * static_cast<double>(bytes.size())));
}

TEST(Decode, LosslessFormsGiveTheirPixels) {
  const Picture picture = noise(9, 7, 3);
  for (const std::string& bytes :
       {png_of(picture), webp_of(picture), bmp_of(picture), ppm_of(picture), plain_ppm_of(picture)}) {
    const Picture read = decoded(bytes);
    EXPECT_EQ(read.size, picture.size);
    EXPECT_EQ(read.pixels, picture.pixels) << bytes.substr(0, 4);
  }
}

TEST(Decode, GreyPicturesBecomeColoursOrStayGrey) {
  const Picture grey = noise(9, 7, 1);
  Picture colours = grey;
  to_colour(colours);
  for (const std::string& bytes : {png_of(grey), ppm_of(grey), plain_ppm_of(grey)}) {
    EXPECT_EQ(decoded(bytes).pixels, colours.pixels);
    EXPECT_EQ(decoded(bytes, {1}).pixels, grey.pixels);
  }
  Picture luma = noise(9, 7, 3);
  const std::string bytes = png_of(luma);
  to_grey(luma);
  EXPECT_EQ(decoded(bytes, {1}).pixels, luma.pixels);
}

TEST(Decode, EveryKindOfPng) {
  const Picture picture = noise(9, 7, 3), grey = noise(9, 7, 1);
  const auto kind = [](int bits, bool palette, bool alpha, bool interlaced) {
    PngWriting writing;
    writing.bits = bits;
    writing.palette = palette;
    writing.alpha = alpha;
    writing.interlaced = interlaced;
    return writing;
  };
  EXPECT_EQ(decoded(png_of(picture, kind(16, false, false, false))).pixels, picture.pixels);
  EXPECT_EQ(decoded(png_of(picture, kind(8, false, true, false))).pixels, picture.pixels);
  EXPECT_EQ(decoded(png_of(picture, kind(16, false, true, true))).pixels, picture.pixels);
  EXPECT_EQ(decoded(png_of(picture, kind(8, false, false, true))).pixels, picture.pixels);
  EXPECT_EQ(decoded(png_of(grey, kind(16, false, true, false)), {1}).pixels, grey.pixels);
  const Picture coloured = decoded(png_of(grey, kind(8, true, false, false)));
  for (std::size_t i = 0; i < grey.pixels.size(); ++i) {
    ASSERT_EQ(coloured.pixels[3 * i], grey.pixels[i]);
    ASSERT_EQ(coloured.pixels[3 * i + 1], 255 - grey.pixels[i]);
    ASSERT_EQ(coloured.pixels[3 * i + 2], grey.pixels[i] / 2);
  }
}

TEST(Decode, EveryKindOfJpeg) {
  const Picture picture = gradient(40, 56);
  JpegWriting progressive, inks;
  progressive.progressive = inks.inks = true;
  for (const std::string& bytes : {jpeg_of(picture), jpeg_of(picture, progressive), jpeg_of(picture, inks)}) {
    const Picture read = decoded(bytes);
    ASSERT_EQ(read.size, picture.size);
    ASSERT_EQ(read.channels, 3);
    EXPECT_LT(distance(read.pixels, picture.pixels).mean, 3);
  }
  const Picture grey = decoded(jpeg_of(noise(8, 8, 1)));
  EXPECT_EQ(grey.channels, 3);
  EXPECT_EQ(grey.pixels[0], grey.pixels[1]);
}

TEST(Decode, OfAnAnimationTheFirstFrame) {
  const Picture picture = noise(9, 7, 3);
  EXPECT_EQ(decoded(animated_webp_of(picture)).pixels, picture.pixels);
}

/// Where pixel (y, x) of the stored picture is shown.
PictureSize shown_at(int orientation, std::int64_t y, std::int64_t x, const PictureSize& of) {
  const std::int64_t up = of.height - 1 - y, left = of.width - 1 - x;
  switch (orientation) {
    case 2:
      return {y, left};
    case 3:
      return {up, left};
    case 4:
      return {up, x};
    case 5:
      return {x, y};
    case 6:
      return {x, up};
    case 7:
      return {left, up};
    case 8:
      return {left, y};
    default:
      return {y, x};
  }
}

TEST(Decode, PicturesAreTurnedAsTheirCameraWas) {
  const Picture stored = noise(4, 3, 3);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    SCOPED_TRACE(orientation);
    PngWriting writing;
    writing.orientation = orientation;
    const Picture shown = decoded(png_of(stored, writing));
    ASSERT_EQ(shown.size, orientation >= 5 ? (PictureSize{3, 4}) : stored.size);
    for (std::int64_t y = 0; y < 4; ++y) {
      for (std::int64_t x = 0; x < 3; ++x) {
        const PictureSize at = shown_at(orientation, y, x, stored.size);
        ASSERT_EQ(shown.row(at.height)[3 * at.width], stored.row(y)[3 * x]) << y << " " << x;
      }
    }
  }
  JpegWriting turned;
  turned.orientation = 6;
  EXPECT_EQ(decoded(jpeg_of(gradient(16, 24), turned)).size, (PictureSize{24, 16}));
}

TEST(Decode, DamagedExifDataTurnNothing) {
  const std::string good = exif_of(6, true);
  for (std::size_t length = 0; length < good.size(); ++length) {
    JpegWriting writing;
    writing.exif = good.substr(0, length);
    const PictureSize size = decoded(jpeg_of(gradient(16, 24), writing)).size;
    EXPECT_TRUE(size == (PictureSize{16, 24}) || length >= 26) << length;
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    JpegWriting writing;
    writing.exif = good;
    writing.exif[at] = '\xFF';
    EXPECT_EQ(decoded(jpeg_of(gradient(16, 24), writing)).size.pixels(), 16 * 24) << at;
  }
}

TEST(Decode, AWindowIsThatPartResized) {
  const Picture picture = noise(40, 50, 3);
  const PictureWindow window = {3, 5, {20, 30}, {8, 9}};
  const Picture read = decoded(png_of(picture), {}, [&](const PictureSize& size) {
    EXPECT_EQ(size, picture.size);
    return window;
  });
  Picture wanted;
  ResizeScratch scratch;
  apply_window(picture, window, scratch, wanted);
  EXPECT_EQ(read.pixels, wanted.pixels);
}

TEST(Decode, FastIsNearlyWhatExactIs) {
  const Picture picture = gradient(400, 600);
  const std::string bytes = jpeg_of(picture);
  for (const PictureWindow& window :
       {PictureWindow{0, 0, {400, 600}, {40, 60}}, PictureWindow{101, 203, {199, 301}, {24, 24}},
        PictureWindow{0, 0, {400, 600}, {400, 600}}, PictureWindow{399, 599, {1, 1}, {7, 7}},
        PictureWindow{17, 33, {250, 250}, {224, 224}}}) {
    SCOPED_TRACE(to_string(window.size));
    DecodeOptions fast;
    fast.fast = true;
    const auto choose = [&](const PictureSize&) { return window; };
    const Picture a = decoded(bytes, {}, choose), b = decoded(bytes, fast, choose);
    ASSERT_EQ(a.size, window.target);
    ASSERT_EQ(b.size, window.target);
    EXPECT_LE(distance(a.pixels, b.pixels).most, 6);
    EXPECT_LT(distance(a.pixels, b.pixels).mean, 1.5);
  }
}

TEST(Decode, OddSizes) {
  for (const PictureSize& size : {PictureSize{1, 1}, PictureSize{1, 20000}, PictureSize{20000, 1}}) {
    SCOPED_TRACE(to_string(size));
    const Picture picture = gradient(size.height, size.width);
    EXPECT_EQ(decoded(png_of(picture)).pixels, picture.pixels);
    EXPECT_EQ(decoded(jpeg_of(picture)).size, size);
    EXPECT_EQ(decoded(bmp_of(picture)).pixels, picture.pixels);
  }
}

TEST(Decode, WhatIsNoPictureIsNamed) {
  const std::string expected = ", expected JPEG, PNG, WebP, BMP, PPM or PGM";
  EXPECT_EQ(refusal(""), "the file is empty");
  EXPECT_EQ(refusal("GIF89a..."), "it is a GIF picture" + expected);
  EXPECT_EQ(refusal(std::string("II*\0....", 8)), "it is a TIFF picture, or a camera's raw one" + expected);
  EXPECT_EQ(refusal("....ftypheic"), "it is a HEIF picture" + expected);
  EXPECT_EQ(refusal("....ftypavif"), "it is an AVIF picture" + expected);
  EXPECT_EQ(refusal("\xFF\x0A..."), "it is a JPEG XL picture" + expected);
  EXPECT_EQ(refusal("8BPS"), "it is a Photoshop file" + expected);
  EXPECT_EQ(refusal("P4 8 8\n"), "it is a PBM picture of black and white" + expected);
  EXPECT_EQ(refusal("P7\n"), "it is a PAM picture" + expected);
  EXPECT_EQ(refusal("<svg>"), "it is an SVG picture or another XML file" + expected);
  EXPECT_EQ(refusal("<!DOCTYPE html>"), "it is a web page" + expected);
  EXPECT_EQ(refusal("hello"), "it is text" + expected);
  EXPECT_EQ(refusal(std::string(100, '\0')), "it is no picture" + expected);
}

TEST(Decode, CutFilesAreNamed) {
  const Picture picture = noise(64, 64, 3);
  EXPECT_EQ(refusal(first(jpeg_of(picture), 0.5)), "JPEG: the file ends early");
  EXPECT_EQ(refusal(first(jpeg_of(picture), 0.02)), "JPEG: the file ends early");
  EXPECT_EQ(refusal(first(png_of(picture), 0.5)), "PNG: the file ends early");
  EXPECT_EQ(refusal(first(png_of(picture), 0.01)).substr(0, 5), "PNG: ");
  EXPECT_EQ(refusal(first(webp_of(picture), 0.5)), "WebP: the file ends early, or is damaged");
  EXPECT_EQ(refusal(first(bmp_of(picture), 0.5)), "BMP: Premature end of input file");
  EXPECT_EQ(refusal(first(bmp_of(picture), 0.001)), "BMP: the file ends early");
  EXPECT_EQ(refusal(first(ppm_of(picture), 0.5)), "PPM: Premature end of input file");
  EXPECT_EQ(refusal("P6 64"), "PPM: expected width, height and the largest value in its header");
}

TEST(Decode, DamagedFilesAreNamed) {
  const Picture picture = noise(64, 64, 3);
  std::string png = png_of(picture);
  png[png.size() / 2] = static_cast<char>(png[png.size() / 2] ^ 0x55);
  EXPECT_EQ(refusal(png).substr(0, 5), "PNG: ");
  png = png_of(picture);
  png[20] = '\x7F';  // the size: the header's checksum is wrong
  EXPECT_EQ(refusal(png), "PNG: IHDR: CRC error");
  std::string bmp = bmp_of(picture);
  bmp[28] = 4;
  EXPECT_EQ(refusal(bmp), "BMP: expected 8, 24 or 32 bits for each pixel and no compression, got 4 bits");
  bmp = bmp_of(picture);
  bmp[30] = 1;
  EXPECT_EQ(refusal(bmp),
            "BMP: expected 8, 24 or 32 bits for each pixel and no compression, got 24 bits and compression");
  bmp = bmp_of(picture);
  bmp.replace(22, 4, "\xC0\xFF\xFF\xFF");
  EXPECT_EQ(refusal(bmp), "BMP: its rows go from top to bottom, which the library does not read");
  EXPECT_EQ(refusal("P6 0 5 255\n"), "its size is 5x0");
  EXPECT_EQ(refusal("\xFF\xD8\xFF\xE0 and nothing more").substr(0, 6), "JPEG: ");
}

TEST(Decode, BombsAreRefusedByTheirHeader) {
  EXPECT_EQ(refusal(png_of(gradient(100, 100)), 9999), "it is 100x100, 10000 pixels, more than max_pixels = 9999");
  EXPECT_EQ(refusal(png_of(gradient(100, 100)), 10000), "no error");
  EXPECT_EQ(refusal("P6 60000 60000 255\n"), "it is 60000x60000, 3600000000 pixels, more than max_pixels = 1000000");
  EXPECT_EQ(refusal("P6 1000 1000 255\n"), "PPM: the file ends early");
  std::string jpeg = jpeg_of(gradient(16, 16));
  const std::size_t frame = jpeg.find("\xFF\xC0");
  jpeg.replace(frame + 5, 4, "\xFF\xDC\xFF\xDC");
  EXPECT_EQ(refusal(jpeg), "it is 65500x65500, 4290250000 pixels, more than max_pixels = 1000000");
  std::string bmp = bmp_of(gradient(4, 4));
  bmp.replace(18, 4, "\xFF\xFF\xFF\x7F");
  EXPECT_EQ(refusal(bmp), "it is 4x2147483647, 8589934588 pixels, more than max_pixels = 1000000");
}

TEST(Decode, SmallFilesThatClaimMuchAreBombsToo) {
  const std::string said = "it is 100x100, 10000 pixels, more than max_pixels = 9999";
  EXPECT_EQ(refusal(webp_of(gradient(100, 100)), 9999), said);
  EXPECT_EQ(refusal(animated_webp_of(gradient(100, 100)), 9999), said);
  EXPECT_EQ(refusal(jpeg_of(gradient(100, 100)), 9999), said);
  EXPECT_EQ(refusal(ppm_of(gradient(100, 100)), 9999), said);
  EXPECT_EQ(refusal(plain_ppm_of(gradient(100, 100)), 9999), said);
  JpegWriting scans;  // each costs a pass over all pixels
  scans.scans = 99;
  EXPECT_EQ(refusal(jpeg_of(noise(16, 16, 1), scans)), "no error");
  scans.scans = 160;
  EXPECT_EQ(refusal(jpeg_of(noise(16, 16, 1), scans)), "JPEG: it has more than 100 scans");
}

TEST(Decode, MissingEndsAreSeenWithoutDecoding) {
  const Picture picture = noise(64, 64, 3);
  const auto end_of = [](const std::string& bytes) {
    return find_missing_end(read_picture_header(bytes, 1'000'000),
                            bytes.substr(bytes.size() - std::min<std::size_t>(64, bytes.size())))
        .value_or("nothing");
  };
  EXPECT_EQ(end_of(jpeg_of(picture)), "nothing");
  EXPECT_EQ(end_of(first(jpeg_of(picture), 0.9)), "JPEG: the file ends early");
  EXPECT_EQ(end_of(png_of(picture)), "nothing");
  EXPECT_EQ(end_of(first(png_of(picture), 0.9)), "PNG: the file ends early");
  EXPECT_EQ(end_of(bmp_of(picture)), "nothing");
}

}  // namespace
}  // namespace sluice
