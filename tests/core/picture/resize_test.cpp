// Resizing gives what Pillow gives, the same with every instruction set.
#include "core/picture/resize.hpp"

#include <gtest/gtest.h>

#include "tests/core/picture/compare.hpp"
#include "tests/core/picture/golden.hpp"
#include "tests/core/picture/patterns.hpp"

namespace sluice {
namespace {

std::vector<std::uint8_t> resized(const PixelView& from, const PictureSize& to, Isa isa = cpu_isa()) {
  std::vector<std::uint8_t> out(static_cast<std::size_t>(to.pixels() * from.channels));
  ResizeScratch scratch;
  resize(from, to, out.data(), scratch, isa);
  return out;
}

TEST(Resize, MatchesPillowWithinOneLevel) {
  const auto check = [](std::int64_t height, std::int64_t width, std::int64_t channels, const PictureSize& to,
                        const char* golden) {
    SCOPED_TRACE(concat(height, "x", width, " to ", to_string(to)));
    expect_close(resized(view_of(noise(height, width, channels)), to), golden, 1);
  };
  check(29, 37, 3, {9, 11}, golden::kSmaller);
  check(5, 4, 1, {13, 17}, golden::kLarger);
  check(100, 80, 3, {7, 6}, golden::kMuchSmaller);
  check(40, 3, 3, {4, 9}, golden::kMixed);
}

TEST(Resize, APartDoesNotSeeWhatLiesAroundIt) {
  const Picture picture = noise(29, 37, 3);
  expect_close(resized(view_of(picture, 3, 5, {17, 25}), {8, 8}), golden::kPart, 1);
}

TEST(Resize, TheSameSizeIsTheSamePicture) {
  const Picture picture = noise(13, 17, 3);
  EXPECT_EQ(resized(view_of(picture), picture.size), picture.pixels);
}

TEST(Resize, OnePixelAndOneRow) {
  const Picture dot = noise(1, 1, 3);
  for (const std::uint8_t value : resized(view_of(dot), {4, 4}))
    EXPECT_TRUE(std::count(dot.pixels.begin(), dot.pixels.end(), value));
  EXPECT_EQ(resized(view_of(noise(1, 20000, 1)), {1, 1}).size(), 1u);
}

TEST(Resize, EveryInstructionSetGivesTheSameBytes) {
  const Picture picture = noise(61, 83, 3), grey = noise(61, 83, 1);
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > cpu_isa()) continue;
    EXPECT_EQ(resized(view_of(picture), {24, 31}, isa), resized(view_of(picture), {24, 31}, Isa::kPortable));
    EXPECT_EQ(resized(view_of(grey), {100, 90}, isa), resized(view_of(grey), {100, 90}, Isa::kPortable));
  }
}

}  // namespace
}  // namespace sluice
