// Writes pictures for tests of programs: write_pictures FILE HEIGHT WIDTH SEED ..., as PNG, JPEG or WebP by their
// names.
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "tests/core/picture/make_pictures.hpp"

namespace {

using namespace sluice;

std::string encode(const std::string& name, const Picture& picture) {
  const std::string ending = name.substr(name.rfind('.') + 1);
  if (ending == "png") return png_of(picture);
  if (ending == "jpg") return jpeg_of(picture);
  if (ending == "webp") return webp_of(picture);
  throw std::invalid_argument(name);
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i + 3 < argc; i += 4) {
    Picture picture = noise(std::atoll(argv[i + 1]), std::atoll(argv[i + 2]), 3);
    const int seed = std::atoi(argv[i + 3]);
    for (std::uint8_t& pixel : picture.pixels) pixel = static_cast<std::uint8_t>(pixel / 2 + seed);
    std::ofstream file(argv[i], std::ios::binary);
    file << encode(argv[i], picture);
    if (!file.flush()) return 1;
  }
}
