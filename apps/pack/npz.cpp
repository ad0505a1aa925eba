// Reads npz files: the directory at the end of a zip archive, its members, and the headers of arrays.
#include "apps/pack/npz.hpp"

#include <zlib.h>

#include <algorithm>
#include <charconv>

#include "apps/pack/whole_file.hpp"
#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kLargestFile = std::int64_t{1} << 33;

/// Bytes of a file, by offset.
class Bytes {
 public:
  Bytes(const std::string& path, std::string bytes) : path_(path), bytes_(std::move(bytes)) {}

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ExitCode::kData, concat(path_, ": ", problem, ": the file is damaged, or no npz file of NumPy"));
  }
  std::uint64_t size() const { return bytes_.size(); }
  const char* at(std::uint64_t offset, std::uint64_t count) const {
    if (offset > size() || count > size() - offset) fail("it ends too early");
    return bytes_.data() + offset;
  }
  std::uint64_t integer(std::uint64_t offset, int bytes) const {
    const char* const from = at(offset, static_cast<std::uint64_t>(bytes));
    std::uint64_t value = 0;
    for (int i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(from[i]);
    return value;
  }
  std::size_t find_last(const std::string& text) const { return bytes_.rfind(text); }

 private:
  const std::string& path_;
  const std::string bytes_;
};

struct Member {
  std::string name;
  std::uint64_t method = 0, crc = 0, packed = 0, size = 0, header = 0;
};

/// Sizes of 4 GiB and more stand in a field of their own.
void read_zip64(const Bytes& file, std::uint64_t begin, std::uint64_t end, Member& member) {
  while (begin + 4 <= end) {
    const std::uint64_t tag = file.integer(begin, 2), next = begin + 4 + file.integer(begin + 2, 2);
    begin += 4;
    for (std::uint64_t* value : {&member.size, &member.packed, &member.header}) {
      if (tag != 1 || *value != 0xffffffff || begin + 8 > next) continue;
      *value = file.integer(begin, 8);
      begin += 8;
    }
    begin = next;
  }
}

std::vector<Member> read_directory(const Bytes& file) {
  constexpr std::uint64_t kMostMembers = 1000;
  const std::size_t end = file.find_last("PK\5\6");
  if (end == std::string::npos) file.fail("it has no directory of a zip archive");
  const std::uint64_t count = file.integer(end + 10, 2);
  if (count > kMostMembers) file.fail(concat("it has more than ", kMostMembers, " members"));
  std::uint64_t at = file.integer(end + 16, 4);
  std::vector<Member> members;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (file.integer(at, 4) != 0x02014b50) file.fail("its directory is not where it should be");
    Member member;
    member.method = file.integer(at + 10, 2);
    member.crc = file.integer(at + 16, 4);
    member.packed = file.integer(at + 20, 4);
    member.size = file.integer(at + 24, 4);
    member.header = file.integer(at + 42, 4);
    const std::uint64_t name = file.integer(at + 28, 2), extra = file.integer(at + 30, 2);
    member.name.assign(file.at(at + 46, name), name);
    read_zip64(file, at + 46 + name, at + 46 + name + extra, member);
    at += 46 + name + extra + file.integer(at + 32, 2);
    members.push_back(std::move(member));
  }
  return members;
}

void inflate_raw(const Bytes& file, const char* from, std::uint64_t packed, std::string& to) {
  constexpr std::uint64_t kMost = 1 << 30;  // zlib counts in 32 bits
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  int status = Z_OK;
  std::uint64_t in = 0, out = 0;
  while (status == Z_OK) {
    const std::uint64_t ready = std::min(packed - in, kMost), room = std::min<std::uint64_t>(to.size() - out, kMost);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(from + in));
    stream.avail_in = static_cast<uInt>(ready);
    stream.next_out = reinterpret_cast<Bytef*>(to.data() + out);
    stream.avail_out = static_cast<uInt>(room);
    status = inflate(&stream, Z_NO_FLUSH);
    in += ready - stream.avail_in;
    out += room - stream.avail_out;
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END || out != to.size()) file.fail("a member cannot be unpacked");
}

std::string read_member(const Bytes& file, const Member& member) {
  if (file.integer(member.header, 4) != 0x04034b50) file.fail("a member is not where it should be");
  const std::uint64_t begin =
      member.header + 30 + file.integer(member.header + 26, 2) + file.integer(member.header + 28, 2);
  const char* const from = file.at(begin, member.packed);
  constexpr std::uint64_t kMostRatio = 1100;  // of deflate
  if (member.size / kMostRatio > member.packed) file.fail("a member cannot be unpacked");
  std::string bytes(member.size, '\0');
  if (member.method == 0 && member.packed == member.size) {
    bytes.assign(from, member.size);
  } else if (member.method == 8) {
    inflate_raw(file, from, member.packed, bytes);
  } else {
    file.fail("a member is neither stored nor deflated");
  }
  if (crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) != member.crc)
    file.fail("a member has another checksum");
  return bytes;
}

/// The text behind "'key': " in a header, up to `end`.
std::string field(const std::string& header, const std::string& key, char end) {
  const std::size_t at = header.find(concat("'", key, "': "));
  if (at == std::string::npos) return "";
  const std::size_t begin = at + key.size() + 4;
  return header.substr(begin, header.find(end, begin) - begin);
}

NpyArray parse_array(const Bytes& file, const std::string& name, std::string bytes) {
  const auto fail = [&](const std::string& problem) { file.fail(concat("the array ", one_line(name), " ", problem)); };
  const std::string magic("\x93NUMPY", 6);
  const bool old = bytes.size() > 10 && bytes[6] == 1;
  if (bytes.compare(0, 6, magic) != 0 || bytes.size() < 12) fail("has no header");
  std::size_t length = 0;
  for (int i = old ? 2 : 4; i-- > 0;)
    length = length << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(8 + i)]);
  const std::size_t begin = old ? 10 : 12;
  if (length > bytes.size() - begin) fail("has no header");
  const std::string header = bytes.substr(begin, length);
  const std::string type = field(header, "descr", ','), order = field(header, "fortran_order", ',');
  NpyArray array;
  if (type.size() != 5 || (type[1] != '|' && type[1] != '<') || (type[2] != 'u' && type[2] != 'i') ||
      std::string("1248").find(type[3]) == std::string::npos)
    fail(concat("is of the type ", quoted(one_line(type)), ", expected integers"));
  if (order != "False") fail("is in Fortran's order");
  array.kind = type[2];
  array.size = type[3] - '0';
  std::string shape = field(header, "shape", ')');
  if (shape.empty() || shape[0] != '(') fail("has no shape");
  std::uint64_t total = static_cast<std::uint64_t>(array.size);
  for (const std::string& part : split_list(shape.substr(1))) {
    if (part.empty()) continue;  // "(5,)"
    std::int64_t size = -1;
    const auto [end, problem] = std::from_chars(part.data(), part.data() + part.size(), size);
    if (problem != std::errc() || end != part.data() + part.size() || size < 0 ||
        __builtin_mul_overflow(total, static_cast<std::uint64_t>(size), &total))
      fail("has no shape");
    array.shape.push_back(size);
  }
  if (total != bytes.size() - begin - length) fail("has another number of bytes than its shape says");
  array.bytes = bytes.substr(begin + length);
  return array;
}

}  // namespace

std::int64_t NpyArray::count() const {
  return static_cast<std::int64_t>(bytes.size()) / size;
}

std::int64_t NpyArray::value(std::int64_t i) const {
  std::uint64_t value = 0;
  for (int b = size; b-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i * size + b)]);
  const int unused = 64 - 8 * size;
  if (kind == 'i') return static_cast<std::int64_t>(value << unused) >> unused;
  return static_cast<std::int64_t>(value);
}

std::map<std::string, NpyArray> read_npz_file(const std::string& path, std::int64_t most_bytes) {
  const Bytes file(path, read_whole(path, "fetch the file again", kLargestFile, "an npz file of at most 8 GiB"));
  std::map<std::string, NpyArray> arrays;
  std::uint64_t total = 0;
  for (const Member& member : read_directory(file)) {
    if (member.size > static_cast<std::uint64_t>(most_bytes) ||
        (total += member.size) > static_cast<std::uint64_t>(most_bytes))
      file.fail(concat("its arrays have more than ", most_bytes, " bytes"));
    const std::string end = ".npy";
    if (member.name.size() <= end.size() || !ends_with(member.name, end)) continue;
    const std::string name = member.name.substr(0, member.name.size() - end.size());
    arrays[name] = parse_array(file, name, read_member(file, member));
  }
  return arrays;
}

}  // namespace sluice
