#include "core/data/options.hpp"

#include <charconv>

#include "core/base/error.hpp"

namespace sluice {

std::string to_string(DataKind kind) {
  switch (kind) {
    case DataKind::kCifar10:
      return "cifar10";
    case DataKind::kCifar100:
      return "cifar100";
    case DataKind::kIdx:
      return "idx";
    case DataKind::kHdf5:
      return "hdf5";
    case DataKind::kFolder:
      return "folder";
    case DataKind::kSynthetic:
      break;
  }
  return "synthetic";
}

std::string to_string(const ImageShape& shape) {
  return concat(shape.channels, "x", shape.height, "x", shape.width);
}

ImageShape parse_image_shape(const std::string& text) {
  std::int64_t sizes[3] = {};
  const char* at = text.data();
  const char* const end = at + text.size();
  bool good = true;
  for (int i = 0; i < 3 && good; ++i) {
    if (i > 0) good = at != end && *at++ == 'x';
    const auto [rest, problem] = std::from_chars(at, end, sizes[i]);
    good = good && problem == std::errc() && sizes[i] >= 1 && sizes[i] <= kMaxImageSide;
    at = rest;
  }
  if (!good || at != end) {
    throw Error(ExitCode::kUsage, concat("expected channels x height x width such as 3x32x32, each 1 to ",
                                         kMaxImageSide, ", got '", text, "'"));
  }
  return {sizes[0], sizes[1], sizes[2]};
}

}  // namespace sluice
