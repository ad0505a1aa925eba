// Pictures of every form. Input: a byte that says how it is decoded, then the file.
#include <algorithm>

#include "core/picture/decode.hpp"
#include "tests/fuzz/harness.hpp"

namespace sluice {

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 || !has_picture_libraries()) return 0;
  const std::string_view bytes = text_of(data + 1, size - 1);
  DecodeOptions options;
  options.max_pixels = 1 << 18;
  options.channels = (data[0] & 1) != 0 ? 1 : 3;
  options.fast = (data[0] & 2) != 0;
  const bool window = (data[0] & 4) != 0;
  const std::int64_t share = 1 + data[0] / 8;  // of the sides, in 32 parts
  attempt({ExitCode::kData}, [&] {
    DecodeScratch scratch;
    Picture picture;
    decode_picture(
        bytes, options,
        [&](const PictureSize& of) -> std::optional<PictureWindow> {
          if (!window) return std::nullopt;
          const PictureSize part = {(of.height * share + 31) / 32, (of.width * share + 31) / 32};
          return PictureWindow{(of.height - part.height) / 2, (of.width - part.width) / 2, part, {24, 20}};
        },
        scratch, picture);
    if (picture.channels != options.channels ||
        static_cast<std::int64_t>(picture.pixels.size()) != picture.size.pixels() * picture.channels)
      found("a picture whose parts do not fit");
    if (window && picture.size != PictureSize{24, 20}) found("a window of another size");
    const PictureHeader header = read_picture_header(bytes, options.max_pixels);
    static_cast<void>(find_missing_end(header, bytes.substr(bytes.size() - std::min<std::size_t>(64, bytes.size()))));
  });
  return 0;
}

}  // namespace sluice
