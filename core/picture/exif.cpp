// The one thing that EXIF data are read for: how a camera was held.
#include <cstdint>

#include "core/picture/formats.hpp"

namespace sluice {

namespace {

/// Numbers in the byte order that the data begin with; 0 behind their end.
class Numbers {
 public:
  Numbers(std::string_view bytes, bool little) : bytes_(bytes), little_(little) {}
  std::uint32_t get(std::size_t at, std::size_t size) const {
    if (at > bytes_.size() || bytes_.size() - at < size) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t place = little_ ? size - 1 - i : i;
      value = value << 8 | static_cast<std::uint8_t>(bytes_[at + place]);
    }
    return value;
  }

 private:
  std::string_view bytes_;
  bool little_;
};

}  // namespace

int exif_orientation(std::string_view exif) {
  constexpr std::size_t kEntryBytes = 12, kValueAt = 8;
  constexpr std::uint32_t kOrientation = 0x0112, kShort = 3;
  if (exif.substr(0, 6) == std::string_view("Exif\0\0", 6)) exif.remove_prefix(6);
  const bool little = exif.substr(0, 2) == "II";
  const Numbers numbers(exif, little);
  if ((!little && exif.substr(0, 2) != "MM") || numbers.get(2, 2) != 42) return 1;
  const std::size_t directory = numbers.get(4, 4), entries = numbers.get(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntryBytes;
    if (numbers.get(entry, 2) != kOrientation || numbers.get(entry + 2, 2) != kShort) continue;
    const std::uint32_t value = numbers.get(entry + kValueAt, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace sluice
