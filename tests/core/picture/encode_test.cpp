// What is written as PNG is what is read again.
#include "core/picture/encode.hpp"

#include <gtest/gtest.h>

#include "core/picture/decode.hpp"
#include "tests/core/picture/patterns.hpp"

namespace sluice {
namespace {

TEST(Encode, PngHoldsEveryPixel) {
  for (const std::int64_t channels : {1, 3}) {
    const Picture picture = noise(7, 13, channels);
    Picture read;
    DecodeScratch scratch;
    decode_picture(encode_png(picture), {channels}, {}, scratch, read);
    EXPECT_EQ(read.size, picture.size);
    EXPECT_EQ(read.channels, channels);
    EXPECT_EQ(read.pixels, picture.pixels);
  }
}

TEST(Encode, PngHoldsTexts) {
  const std::string bytes = encode_png(noise(1, 1, 1), {{"Software", "a program"}, {"Description", "what it is"}});
  EXPECT_NE(bytes.find(std::string("tEXtSoftware\0a program", 22)), std::string::npos);
  EXPECT_NE(bytes.find(std::string("tEXtDescription\0what it is", 26)), std::string::npos);
}

}  // namespace
}  // namespace sluice
