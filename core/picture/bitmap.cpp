// BMP, PPM and PGM, by the reader of libjpeg-turbo's TurboJPEG, which takes them by name.
#include <sys/mman.h>
#include <turbojpeg.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "core/base/descriptor.hpp"
#include "core/base/error.hpp"
#include "core/picture/formats.hpp"

namespace sluice {

namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ExitCode::kData, why);
}

std::int64_t little_endian(std::string_view bytes, std::size_t at, std::size_t size) {
  if (bytes.size() < at + size) refuse("BMP: the file ends early");
  std::uint32_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return static_cast<std::int32_t>(value);
}

PictureSize bmp_size(std::string_view bytes) {
  constexpr std::int64_t kOldHeader = 12;
  if (little_endian(bytes, 14, 4) == kOldHeader) return {little_endian(bytes, 20, 2), little_endian(bytes, 18, 2)};
  const std::int64_t height = little_endian(bytes, 22, 4), bits = little_endian(bytes, 28, 2);
  if (height < 0) refuse("BMP: its rows go from top to bottom, which the library does not read");
  if (little_endian(bytes, 30, 4) != 0 || (bits != 8 && bits != 24 && bits != 32))
    refuse(concat("BMP: expected 8, 24 or 32 bits for each pixel and no compression, got ", bits, " bits",
                  little_endian(bytes, 30, 4) != 0 ? " and compression" : ""));
  return {height, little_endian(bytes, 18, 4)};
}

/// The next number of a PPM header, behind spaces and comments.
std::int64_t take_number(std::string_view& rest) {
  const auto space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  while (!rest.empty() && (space(rest[0]) || rest[0] == '#')) {
    if (rest[0] == '#') rest.remove_prefix(std::min(rest.find('\n'), rest.size() - 1));
    rest.remove_prefix(1);
  }
  std::int64_t number = 0, digits = 0;
  for (; !rest.empty() && digit(rest[0]) && digits < 9; ++digits, rest.remove_prefix(1)) {
    number = 10 * number + (rest[0] - '0');
  }
  if (digits == 0) refuse("PPM: expected width, height and the largest value in its header");
  return number;
}

PictureSize pnm_size(std::string_view bytes) {
  bytes.remove_prefix(2);
  const std::int64_t width = take_number(bytes), height = take_number(bytes);
  return {height, width};
}

struct FreePixels {
  void operator()(unsigned char* pixels) const { ::tjFree(pixels); }
};

}  // namespace

StoredHeader bitmap_header(std::string_view bytes) {
  const PictureSize size = bytes.substr(0, 2) == "BM" ? bmp_size(bytes) : pnm_size(bytes);
  if (size.height <= 0 || size.width <= 0) refuse(concat("its size is ", to_string(size)));
  return {size, 1};
}

void decode_bitmap(std::string_view bytes, Picture& picture) {
  const PictureSize size = bitmap_header(bytes).size;
  const char* const form = bytes.substr(0, 2) == "BM" ? "BMP" : "PPM";
  // No form has pixels of less than a byte: what a short file claims is not believed.
  if (static_cast<std::int64_t>(bytes.size()) < size.pixels()) refuse(concat(form, ": the file ends early"));
  Descriptor file(::memfd_create("picture", MFD_CLOEXEC), "a picture in memory");
  file.write_all(bytes);
  int width = 0, height = 0, format = TJPF_RGB;
  const std::unique_ptr<unsigned char, FreePixels> pixels(
      ::tjLoadImage(concat("/proc/self/fd/", file.get()).c_str(), &width, 1, &height, &format, 0));
  if (pixels == nullptr) refuse(concat(form, ": ", ::tjGetErrorStr2(nullptr)));
  if (PictureSize{height, width} != size) refuse(concat(form, ": its header is damaged"));
  picture.reshape(size, 3);
  std::memcpy(picture.pixels.data(), pixels.get(), picture.pixels.size());
}

}  // namespace sluice
