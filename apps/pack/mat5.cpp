// Reads MAT files of version 5 ("MAT-File Format", MathWorks): a header, then elements, each a tag and its bytes.
#include "apps/pack/mat5.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <optional>

#include "core/base/error.hpp"
#include "core/data/input_file.hpp"

namespace sluice {
namespace {

enum Type : std::uint32_t { kInt8 = 1, kUint8 = 2, kInt32 = 5, kUint32 = 6, kMatrix = 14, kCompressed = 15 };

/// How numbers of a type are stored; size 0: it is none of numbers.
struct Storage {
  char kind;
  int size;
};
Storage storage_of(std::uint32_t type) {
  static constexpr Storage kStorages[] = {{'u', 0}, {'i', 1}, {'u', 1}, {'i', 2}, {'u', 2}, {'i', 4}, {'u', 4},
                                          {'f', 4}, {'u', 0}, {'f', 8}, {'u', 0}, {'u', 0}, {'i', 8}, {'u', 8}};
  return type < std::size(kStorages) ? kStorages[type] : Storage{'u', 0};
}

std::uint32_t integer(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

/// The bytes of one element of the file, unpacked where they are packed.
class Element {
 public:
  Element(InputFile& file, std::int64_t bytes, bool packed) : file_(file), left_(bytes), packed_(packed) {
    if (packed && inflateInit(&stream_) != Z_OK) throw std::bad_alloc();
  }
  ~Element() {
    if (packed_) inflateEnd(&stream_);
  }
  Element(const Element&) = delete;
  Element& operator=(const Element&) = delete;

  [[noreturn]] void fail(const std::string& problem) const { file_.fail(file_.offset(), problem); }

  void read(char* to, std::int64_t count) {
    if (!packed_) {
      if (count > left_) fail("an array is cut short");
      from_file(to, count);
      return;
    }
    while (count > 0) {
      stream_.next_out = reinterpret_cast<Bytef*>(to);
      const auto room = static_cast<uInt>(std::min<std::int64_t>(count, kBlock));
      stream_.avail_out = room;
      unpack();
      to += room - stream_.avail_out;
      count -= room - stream_.avail_out;
    }
  }

  void skip(std::int64_t count) {
    char rest[4096];
    for (; count > 0; count -= std::min<std::int64_t>(count, sizeof rest))
      read(rest, std::min<std::int64_t>(count, sizeof rest));
  }

  /// What is left of it in the file.
  void skip_rest() {
    while (left_ > 0) from_file(in_, std::min<std::int64_t>(left_, sizeof in_));
  }

 private:
  static constexpr std::int64_t kBlock = 1 << 20;

  void from_file(char* to, std::int64_t count) {
    file_.read(to, count, file_.offset() + left_);
    left_ -= count;
  }

  /// Some bytes at least.
  void unpack() {
    const uInt room = stream_.avail_out;
    while (stream_.avail_out == room) {
      if (stream_.avail_in == 0) {
        if (left_ == 0) fail("a packed array is cut short");
        const std::int64_t some = std::min<std::int64_t>(left_, sizeof in_);
        from_file(in_, some);
        stream_.next_in = reinterpret_cast<Bytef*>(in_);
        stream_.avail_in = static_cast<uInt>(some);
      }
      const int status = inflate(&stream_, Z_NO_FLUSH);
      if (status == Z_MEM_ERROR) throw std::bad_alloc();
      const bool ended = status == Z_STREAM_END && stream_.avail_out == room;
      if ((status != Z_OK && status != Z_STREAM_END) || ended) fail("an array cannot be unpacked");
    }
  }

  InputFile& file_;
  std::int64_t left_;  ///< in the file
  bool packed_;
  z_stream stream_{};
  char in_[1 << 16];
};

struct Tag {
  std::uint32_t type = 0, bytes = 0;
  std::optional<std::string> small;  ///< up to four bytes that stand in the tag itself
};

Tag read_tag(Element& element) {
  char text[8];
  element.read(text, sizeof text);
  Tag tag{integer(text), integer(text + 4), {}};
  if (tag.type >> 16 == 0) return tag;
  tag.bytes = tag.type >> 16;
  tag.type &= 0xffff;
  if (tag.bytes > 4) element.fail("a tag is damaged");
  tag.small = std::string(text + 4, tag.bytes);
  return tag;
}

/// The bytes behind a tag; memory grows as they come.
std::string read_bytes(Element& element, const Tag& tag) {
  if (tag.small) return *tag.small;
  constexpr std::size_t kStep = 16 << 20;
  std::string bytes;
  while (bytes.size() < tag.bytes) {
    const std::size_t have = bytes.size(), more = std::min<std::size_t>(tag.bytes - have, std::max(kStep, have));
    bytes.resize(have + more);
    element.read(bytes.data() + have, static_cast<std::int64_t>(more));
  }
  return bytes;
}

std::string read_part(Element& element, std::uint32_t type, std::uint32_t least, std::uint32_t most, const char* what) {
  const Tag tag = read_tag(element);
  if (tag.type != type || tag.bytes < least || tag.bytes > most) element.fail(concat("an array has no ", what));
  std::string bytes = read_bytes(element, tag);
  if (!tag.small) element.skip((8 - tag.bytes % 8) % 8);
  return bytes;
}

std::vector<std::int64_t> read_shape(Element& element) {
  constexpr std::uint32_t kMostSizes = 32;
  const std::string text = read_part(element, kInt32, 8, 4 * kMostSizes, "sizes");
  std::vector<std::int64_t> shape;
  for (std::size_t at = 0; at + 4 <= text.size(); at += 4) {
    shape.push_back(static_cast<std::int32_t>(integer(text.data() + at)));
    if (shape.back() < 0) element.fail("an array has a negative size");
  }
  return shape;
}

/// The array behind the matrix's tag, where it has one of the names.
void read_matrix(Element& element, const std::set<std::string>& names, std::int64_t most_bytes,
                 std::map<std::string, MatArray>& arrays) {
  constexpr std::uint32_t kLongestName = 64, kComplex = 0x0800;
  constexpr std::uint32_t kFirstNumeric = 6, kLastNumeric = 15;  // classes: double to uint64
  const std::uint32_t flags = integer(read_part(element, kUint32, 8, 8, "flags").data());
  const std::uint32_t kind = flags & 0xff;
  MatArray array;
  array.shape = read_shape(element);
  const std::string name = read_part(element, kInt8, 0, kLongestName, "name");
  if (names.count(name) == 0) return;
  if (kind < kFirstNumeric || kind > kLastNumeric || (flags & kComplex) != 0)
    element.fail(concat("expected the array ", name, " to be of real numbers"));
  const Tag data = read_tag(element);
  const Storage storage = storage_of(data.type);
  std::uint64_t total = static_cast<std::uint64_t>(storage.size);
  for (const std::int64_t size : array.shape) {
    if (__builtin_mul_overflow(total, static_cast<std::uint64_t>(size), &total)) element.fail("an array is too large");
  }
  if (storage.size == 0 || total != data.bytes)
    element.fail(concat("the array ", name, " has another number of bytes than its sizes say"));
  if (data.bytes > most_bytes) element.fail(concat("the array ", name, " has more than ", most_bytes, " bytes"));
  array.kind = storage.kind;
  array.size = storage.size;
  array.bytes = read_bytes(element, data);
  if (!arrays.emplace(name, std::move(array)).second) element.fail(concat("it has two arrays ", name));
}

void read_header(InputFile& file) {
  char header[128];
  file.read(header, sizeof header, sizeof header);
  const std::string order(header + 126, 2);
  if (std::memcmp(header, "MATLAB 7.3", 10) == 0)
    file.fail(0, "is of MATLAB 7.3, expected version 5 (save -v7 writes it)");
  if (order == "MI") file.fail(126, "is of a big-endian machine, expected little-endian");
  if (order != "IM" || header[125] != 1) file.fail(0, "expected a MAT file of version 5");
}

}  // namespace

double MatArray::value(std::int64_t i) const {
  const char* const at = bytes.data() + i * size;
  std::uint64_t whole = 0;
  for (int b = size; b-- > 0;) whole = whole << 8 | static_cast<unsigned char>(at[b]);
  if (kind == 'u') return static_cast<double>(whole);
  if (kind == 'i') return static_cast<double>(static_cast<std::int64_t>(whole << (64 - 8 * size)) >> (64 - 8 * size));
  double number = 0;
  float narrow = 0;
  if (size == 8) {
    std::memcpy(&number, at, sizeof number);
  } else {
    std::memcpy(&narrow, at, sizeof narrow);
    number = static_cast<double>(narrow);
  }
  return number;
}

std::map<std::string, MatArray> read_mat_file(const std::string& path, const std::string& advice,
                                              const std::set<std::string>& names, std::int64_t most_bytes) {
  InputFile file(path, advice);
  read_header(file);
  std::map<std::string, MatArray> arrays;
  while (!file.at_end()) {
    char text[8];
    file.read(text, sizeof text, file.offset() + 8);
    const std::uint32_t type = integer(text), bytes = integer(text + 4);
    const bool packed = type == kCompressed;
    Element element(file, bytes, packed);
    bool matrix = type == kMatrix;
    if (packed) {
      const Tag inner = read_tag(element);
      matrix = inner.type == kMatrix && !inner.small;
    }
    std::int64_t taken = 0;
    for (const auto& [name, array] : arrays) taken += static_cast<std::int64_t>(array.bytes.size());
    if (matrix) read_matrix(element, names, most_bytes - taken, arrays);
    element.skip_rest();
  }
  return arrays;
}

}  // namespace sluice
