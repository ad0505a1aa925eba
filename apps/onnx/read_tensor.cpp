#include "apps/onnx/read_tensor.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "core/base/bfloat16.hpp"
#include "core/base/descriptor.hpp"
#include "core/base/error.hpp"
#include "core/base/printable.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostElements = std::int64_t{1} << 32;
constexpr std::int64_t kMostWholes = std::int64_t{1} << 20;  // they are shapes, not weights
constexpr std::int64_t kMostBeside = std::int64_t{1} << 32;  // bytes in other files

/// ONNX's TensorProto.DataType.
enum ElementType {
  kFloatType = 1,
  kUInt8Type = 2,
  kInt8Type = 3,
  kInt32Type = 6,
  kInt64Type = 7,
  kBoolType = 9,
  kHalfType = 10,
  kDoubleType = 11,
  kBFloat16Type = 16
};

/// Bytes of an element; 0 where its type is not understood.
std::int64_t width_of(int type) {
  switch (type) {
    case kUInt8Type:
    case kInt8Type:
    case kBoolType:
      return 1;
    case kHalfType:
    case kBFloat16Type:
      return 2;
    case kFloatType:
    case kInt32Type:
      return 4;
    case kInt64Type:
    case kDoubleType:
      return 8;
    default:
      return 0;
  }
}

bool is_whole(int type) {
  return type == kUInt8Type || type == kInt8Type || type == kInt32Type || type == kInt64Type || type == kBoolType;
}

/// IEEE 754 binary16.
float from_half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 31) return mantissa != 0 ? std::nanf("") : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
}

float from_bfloat16(std::uint16_t bits) {
  return widen(BFloat16{bits});
}

/// Elements of type From that lie in `raw`, each made a To by `convert`.
template <class From, class To, class Convert>
std::shared_ptr<const std::vector<To>> converted(std::string_view raw, Convert&& convert) {
  auto values = std::make_shared<std::vector<To>>(raw.size() / sizeof(From));
  for (std::size_t i = 0; i < values->size(); ++i) {
    From element;
    std::memcpy(&element, raw.data() + i * sizeof(From), sizeof(From));
    (*values)[i] = convert(element);
  }
  return values;
}

template <class From, class To>
std::shared_ptr<const std::vector<To>> converted(std::string_view raw) {
  return converted<From, To>(raw, [](From element) { return static_cast<To>(element); });
}

std::variant<Floats, Wholes> from_raw(int type, std::string_view raw) {
  switch (type) {
    case kUInt8Type:
    case kBoolType:
      return converted<std::uint8_t, std::int64_t>(raw);
    case kInt8Type:
      return converted<std::int8_t, std::int64_t>(raw);
    case kInt32Type:
      return converted<std::int32_t, std::int64_t>(raw);
    case kInt64Type:
      return converted<std::int64_t, std::int64_t>(raw);
    case kHalfType:
      return converted<std::uint16_t, float>(raw, from_half);
    case kBFloat16Type:
      return converted<std::uint16_t, float>(raw, from_bfloat16);
    case kDoubleType:
      return converted<double, float>(raw);
    default:
      return converted<float, float>(raw);
  }
}

template <class To, class Field, class Convert>
std::shared_ptr<const std::vector<To>> listed(const Field& field, Convert&& convert) {
  auto values = std::make_shared<std::vector<To>>();
  values->reserve(static_cast<std::size_t>(field.size()));
  for (const auto& element : field) values->push_back(convert(element));
  return values;
}

/// Numbers that do not stand as bytes.
std::variant<Floats, Wholes> from_fields(int type, const sluice_onnx::TensorProto& tensor) {
  const auto to_float = [](auto x) { return static_cast<float>(x); };
  const auto to_whole = [](auto x) { return static_cast<std::int64_t>(x); };
  if (type == kFloatType) return listed<float>(tensor.float_data(), to_float);
  if (type == kDoubleType) return listed<float>(tensor.double_data(), to_float);
  if (type == kInt64Type) return listed<std::int64_t>(tensor.int64_data(), to_whole);
  if (is_whole(type)) return listed<std::int64_t>(tensor.int32_data(), to_whole);
  return listed<float>(tensor.int32_data(), [&](std::int32_t bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    return type == kHalfType ? from_half(half) : from_bfloat16(half);
  });
}

std::int64_t count_of(const ForeignConstant& constant) {
  return std::visit([](const auto& values) { return static_cast<std::int64_t>(values->size()); }, constant.values);
}

[[noreturn]] void refuse_file(const std::string& why) {
  throw Error(ExitCode::kCheckpoint, why);
}

/// A number of external_data; `otherwise` where it stands nowhere.
std::int64_t number_of(const std::map<std::string, std::string>& entries, const char* key, std::int64_t otherwise) {
  const auto found = entries.find(key);
  if (found == entries.end()) return otherwise;
  const std::string& text = found->second;
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos)
    refuse_file(concat("their ", key, " is '", printable(text), "', expected a number"));
  return std::stoll(text);
}

/// Opens what lies in `folder` without following links, one part of the path after the other.
Descriptor open_below(const std::string& folder, const std::filesystem::path& location) {
  int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (auto part = location.begin(); part != location.end() && fd >= 0; ++part) {
    const Descriptor in(fd, folder);
    const bool last = std::next(part) == location.end();
    fd = ::openat(in.get(), part->c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (last ? 0 : O_DIRECTORY));
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
      refuse_file(concat(printable(location.string()), " is a symbolic link, or lies behind one"));
  }
  if (fd < 0) refuse_file(concat("cannot open ", printable(location.string()), ": ", std::strerror(errno)));
  return Descriptor(fd, location.string());
}

}  // namespace

std::string read_beside(const std::string& model, const std::string& location, std::int64_t offset, std::int64_t bytes,
                        std::int64_t& size) {
  const std::filesystem::path path(location);
  bool inside = !location.empty() && location.find('\0') == std::string::npos && path.is_relative();
  for (const std::filesystem::path& part : path) inside = inside && part != ".." && part != "." && !part.empty();
  if (!inside) refuse_file(concat("they lie in '", printable(location), "', which is not in the model's folder"));
  const std::string folder = std::filesystem::path(model).parent_path().string();
  const Descriptor file = open_below(folder.empty() ? "." : folder, path);
  struct stat about = {};
  if (::fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode))
    refuse_file(concat(printable(location), " is no regular file"));
  size = about.st_size;
  if (offset > size || bytes > size - offset) {
    refuse_file(concat(printable(location), " has ", size, " bytes, expected ", bytes, " from byte ", offset, " on"));
  }
  std::string content(static_cast<std::size_t>(bytes), '\0');
  std::int64_t done = 0;
  while (done < bytes) {
    const ssize_t got =
        ::pread(file.get(), content.data() + done, static_cast<std::size_t>(bytes - done), offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      refuse_file(
          concat("cannot read ", printable(location), ": ", got < 0 ? std::strerror(errno) : "it has become shorter"));
    }
    done += got;
  }
  return content;
}

void TensorReader::refuse(const std::string& name, const std::string& text) const {
  throw Error(ExitCode::kCheckpoint, concat(model_, ": '", printable(name), "' ", text));
}

Shape TensorReader::shape_of(const std::string& name, const sluice_onnx::TensorProto& tensor) const {
  std::vector<std::int64_t> dims;
  std::int64_t count = 1;
  for (std::int64_t dim : tensor.dims()) {
    if (dim < 0 || dim > kMostElements || (dim > 0 && count > kMostElements / dim) || dims.size() == 8)
      refuse(name, concat("has a dimension of ", dim));
    count *= dim;
    dims.push_back(dim);
  }
  return Shape(dims);
}

std::string TensorReader::external(const std::string& name, const sluice_onnx::TensorProto& tensor,
                                   std::int64_t bytes) {
  std::map<std::string, std::string> entries;
  for (const sluice_onnx::StringStringEntryProto& entry : tensor.external_data()) entries[entry.key()] = entry.value();
  try {
    const std::int64_t length = number_of(entries, "length", bytes);
    if (length != bytes) refuse_file(concat("they take ", length, " bytes, the shape wants ", bytes));
    if ((beside_ += bytes) > kMostBeside) refuse_file("all together they take more than 4 GiB");
    const std::string& location = entries["location"];
    std::int64_t size = 0;
    std::string content = read_beside(model_, location, number_of(entries, "offset", 0), bytes, size);
    // Parts that overlap would take more memory than there are files.
    if ((taken_[location] += bytes) > size)
      refuse_file(concat(printable(location), " has fewer bytes than all tensors take of it"));
    return content;
  } catch (const Error& error) {
    refuse(name, concat("has its values in another file: ", error.what()));
  }
}

ForeignConstant TensorReader::read(const std::string& name, const sluice_onnx::TensorProto& tensor) {
  ForeignConstant constant;
  constant.shape = shape_of(name, tensor);
  const int type = tensor.data_type();
  const std::int64_t width = width_of(type), count = constant.shape.count();
  if (width == 0)
    refuse(name, concat("has numbers of type ", type, "; floats of 16, 32 and 64 bits and integers are understood"));
  if (is_whole(type) && count > kMostWholes)
    refuse(name, concat("has ", count, " whole numbers; weights that are no floats are not understood"));
  std::int64_t held = 0;
  if (tensor.data_location() != 0) {
    constant.values = from_raw(type, external(name, tensor, count * width));
    held = count;
  } else if (tensor.has_raw_data()) {
    const auto bytes = static_cast<std::int64_t>(tensor.raw_data().size());
    held = bytes / width;
    if (held != count || bytes % width != 0) refuse(name, concat("holds ", held, " numbers, its shape wants ", count));
    constant.values = from_raw(type, tensor.raw_data());
  } else {
    constant.values = from_fields(type, tensor);
    held = count_of(constant);
  }
  if (held != count) refuse(name, concat("holds ", held, " numbers, its shape wants ", count));
  return constant;
}

}  // namespace sluice
