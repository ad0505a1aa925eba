// Files, handles and errors of the HDF5 layer.
#include "core/checkpoint/hdf5.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>

#include "core/base/system_error.hpp"
#include "core/checkpoint/hdf5_detail.hpp"

namespace sluice {
namespace detail {

namespace {
std::recursive_mutex& library_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

/// The innermost entry of the library's error stack, and whether any of it says that memory was wanting. Allocates
/// nothing: exceptions must not pass through the library.
struct Cause {
  std::array<char, 500> text{};
  bool no_memory = false;
};
extern "C" herr_t sluice_take_first_cause(unsigned, const H5E_error2_t* error, void* taken) {
  Cause& cause = *static_cast<Cause*>(taken);
  if (error->desc == nullptr) return 0;
  if (error->maj_num == H5E_RESOURCE && (error->min_num == H5E_NOSPACE || error->min_num == H5E_CANTALLOC))
    cause.no_memory = true;
  for (const char* words : {"memory allocation failed", "allocate memory", "realloc"})
    if (std::strstr(error->desc, words) != nullptr) cause.no_memory = true;
  if (cause.text[0] != '\0') return 0;
  std::strncpy(cause.text.data(), error->desc, cause.text.size() - 1);
  std::replace(cause.text.begin(), cause.text.end(), '\n', ' ');
  return 0;
}

Cause first_cause() {
  Cause cause;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, sluice_take_first_cause, &cause);
  return cause;
}
}  // namespace

// All files are closed by their handles; the library's own end may loop where it once got no memory.
Hdf5Guard::Hdf5Guard() : lock_(library_mutex()) {
  static const bool left_open = H5dont_atexit() >= 0;
  static_cast<void>(left_open);
  must(H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr));
}

void check_memory() {
  if (first_cause().no_memory) throw std::bad_alloc();
}

Hdf5Handle& Hdf5Handle::operator=(Hdf5Handle&& other) noexcept {
  std::swap(id_, other.id_);
  return *this;
}

bool Hdf5Handle::close() noexcept {
  if (id_ < 0) return true;
  const Hdf5Guard guard;
  const bool closed = H5Idec_ref(id_) >= 0;
  id_ = -1;
  return closed;
}

std::string hdf5_cause() {
  const Cause cause = first_cause();
  if (cause.no_memory) throw std::bad_alloc();
  return cause.text[0] == '\0' ? "the HDF5 library gives no reason" : cause.text.data();
}

void hdf5_fail(const Hdf5Context& context, const std::string& path, const std::string& doing) {
  const Cause cause = first_cause();
  const std::string where = concat(context.file, ": ", path, path.empty() ? "" : ": ");
  if (cause.no_memory) {
    throw Error(ExitCode::kEnvironment, concat(where, "cannot ", doing, ": out of memory (", cause.text.data(),
                                               "), or the file claims to hold more than it does"));
  }
  throw Error(context.code, concat(where, "cannot ", doing, ": ", hdf5_cause()));
}

hid_t native_type(Number number) {
  switch (number) {
    case Number::kInt8:
      return H5T_NATIVE_INT8;
    case Number::kUint8:
      return H5T_NATIVE_UINT8;
    case Number::kInt16:
      return H5T_NATIVE_INT16;
    case Number::kUint16:
      return H5T_NATIVE_UINT16;
    case Number::kInt32:
      return H5T_NATIVE_INT32;
    case Number::kUint32:
      return H5T_NATIVE_UINT32;
    case Number::kInt64:
      return H5T_NATIVE_INT64;
    case Number::kUint64:
      return H5T_NATIVE_UINT64;
    case Number::kFloat:
      return H5T_NATIVE_FLOAT;
    case Number::kDouble:
      return H5T_NATIVE_DOUBLE;
  }
  return H5I_INVALID_HID;
}

template <>
Number number<std::int8_t>() {
  return Number::kInt8;
}
template <>
Number number<std::uint8_t>() {
  return Number::kUint8;
}
template <>
Number number<std::int16_t>() {
  return Number::kInt16;
}
template <>
Number number<std::uint16_t>() {
  return Number::kUint16;
}
template <>
Number number<std::int32_t>() {
  return Number::kInt32;
}
template <>
Number number<std::uint32_t>() {
  return Number::kUint32;
}
template <>
Number number<std::int64_t>() {
  return Number::kInt64;
}
template <>
Number number<std::uint64_t>() {
  return Number::kUint64;
}
template <>
Number number<float>() {
  return Number::kFloat;
}
template <>
Number number<double>() {
  return Number::kDouble;
}

/// What a type that we do not read is called.
std::string other_name(hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_COMPOUND:
      return "records";
    case H5T_ARRAY:
      return "arrays of " + to_string(element_type(Hdf5Handle(H5Tget_super(type)).id()));
    case H5T_VLEN:
      return "lists";
    case H5T_OPAQUE:
      return "opaque bytes";
    case H5T_BITFIELD:
      return "bit fields";
    case H5T_REFERENCE:
      return "references";
    case H5T_TIME:
      return "times";
    default:
      return "an unknown type";
  }
}

ElementType element_type(hid_t type) {
  ElementType result;
  result.bytes = static_cast<std::int64_t>(H5Tget_size(type));
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      result.kind = H5Tget_sign(type) == H5T_SGN_NONE ? ElementType::Kind::kUnsigned : ElementType::Kind::kSigned;
      break;
    case H5T_FLOAT:
      result.kind = ElementType::Kind::kFloat;
      break;
    case H5T_STRING:
      result.kind = ElementType::Kind::kText;
      break;
    case H5T_ENUM:  // read as its numbers; h5py stores booleans so
      return element_type(Hdf5Handle(H5Tget_super(type)).id());
    default:
      result.other = other_name(type);
  }
  return result;
}

Shape space_shape(const Hdf5Context& context, const std::string& path, hid_t space) {
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0) hdf5_fail(context, path, "read its shape");
  if (H5Sget_simple_extent_type(space) == H5S_NULL) return Shape{0};
  std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
  if (H5Sget_simple_extent_dims(space, dims.data(), nullptr) < 0) hdf5_fail(context, path, "read its shape");
  return Shape(std::vector<std::int64_t>(dims.begin(), dims.end()));
}

Hdf5Handle text_type(std::size_t length) {
  Hdf5Handle type(must(H5Tcopy(H5T_C_S1)));
  must(H5Tset_size(type.id(), std::max<std::size_t>(length, 1)));
  must(H5Tset_strpad(type.id(), H5T_STR_NULLPAD));
  must(H5Tset_cset(type.id(), H5T_CSET_UTF8));
  return type;
}

Hdf5Handle file_access() {
  Hdf5Handle access(must(H5Pcreate(H5P_FILE_ACCESS)));
  // Locks fail on some network file systems, and a reader needs none. HDF5_USE_FILE_LOCKING still wins.
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
  H5Pset_file_locking(access.id(), false, true);
#endif
  return access;
}

namespace {

/// Says in the system's own words why a file cannot be read, before HDF5 wraps it in its own.
void check_readable(const Hdf5Context& context) {
  const int file = ::open(context.file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);  // a FIFO would wait for a writer
  if (file < 0) throw Error(context.code, concat(context.file, ": cannot open: ", system_reason(errno, Access::kRead)));
  struct stat status {};
  ::fstat(file, &status);
  ::close(file);
  if (S_ISDIR(status.st_mode)) throw Error(context.code, context.file + ": is a directory, expected an HDF5 file");
  if (!S_ISREG(status.st_mode)) throw Error(context.code, context.file + ": is no regular file, expected an HDF5 file");
  if (status.st_size == 0) throw Error(context.code, context.file + ": is empty (0 bytes), expected an HDF5 file");
}

// The library asks these for the memory of a file in memory: it lives in the context, so that nothing is copied.
void* image_malloc(std::size_t size, H5FD_file_image_op_t, void* context) {
  std::vector<char>& bytes = static_cast<Hdf5Context*>(context)->bytes;
  try {
    if (bytes.size() < size) bytes.resize(size);
  } catch (const std::exception&) {
    return nullptr;
  }
  return bytes.data();
}
void* image_memcpy(void* to, const void*, std::size_t, H5FD_file_image_op_t, void*) {
  return to;
}
void* image_realloc(void*, std::size_t size, H5FD_file_image_op_t operation, void* context) {
  return image_malloc(size, operation, context);
}
herr_t image_free(void*, H5FD_file_image_op_t, void*) {
  return 0;
}
void* image_share(void* context) {
  return context;
}
herr_t image_release(void*) {
  return 0;
}

/// An access list for a file in the context's memory.
Hdf5Handle image_access(Hdf5Context& context) {
  Hdf5Handle access(must(H5Pcreate(H5P_FILE_ACCESS)));
  H5FD_file_image_callbacks_t callbacks = {image_malloc, image_memcpy,  image_realloc, image_free,
                                           image_share,  image_release, &context};
  const std::size_t kIncrement = 1 << 20;
  must(H5Pset_fapl_core(access.id(), kIncrement, false));
  must(H5Pset_file_image_callbacks(access.id(), &callbacks));
  return access;
}

/// A name that no file can have (the library refuses existing ones) and no other image has (it would take them for the
/// same file).
std::string image_name(const Hdf5Context& context) {
  return concat("/dev/null/", &context);
}

/// The length that the superblock states (version 2, which the 1.8 bounds give): the memory may be longer.
std::size_t stated_length(const std::vector<char>& bytes) {
  const std::size_t kEndOfFile = 28;
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = length << 8 | static_cast<unsigned char>(bytes.at(kEndOfFile + i));
  return static_cast<std::size_t>(length);
}

}  // namespace
}  // namespace detail

std::string to_string(const ElementType& type) {
  const std::string bits = std::to_string(type.bytes * 8);
  switch (type.kind) {
    case ElementType::Kind::kSigned:
      return "int" + bits;
    case ElementType::Kind::kUnsigned:
      return "uint" + bits;
    case ElementType::Kind::kFloat:
      return "float" + bits;
    case ElementType::Kind::kText:
      return "text";
    case ElementType::Kind::kOther:
      break;
  }
  return type.other;
}

Hdf5File::Hdf5File(Context context) : Hdf5Group(context, "/", {}) {
  detail::prepare_access(*context);
  handle_ = detail::Hdf5Handle(H5Gopen2(context->handle.id(), "/", context->group_access.id()));
  if (handle_.id() < 0) fail("open the root group");
}

Hdf5File Hdf5File::open(const std::string& path, ExitCode code, OtherFiles others) {
  const detail::Hdf5Guard guard;
  auto context = std::make_shared<detail::Hdf5Context>();
  context->file = path;
  context->code = code;
  context->others = std::move(others);
  detail::check_readable(*context);
  const detail::Hdf5Handle access = detail::file_access();
  context->handle = detail::Hdf5Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()));
  if (context->handle.id() < 0) {
    const std::string cause = detail::hdf5_cause();
    const bool lock = cause.find("lock file") != std::string::npos;
    throw Error(code, concat(path, ": cannot open as an HDF5 file: ", cause,
                             lock ? "; try HDF5_USE_FILE_LOCKING=FALSE in the environment" : ""));
  }
  detail::watch(*context);
  return Hdf5File(context);
}

Hdf5File Hdf5File::open_image(std::vector<char> bytes, const std::string& name, ExitCode code) {
  const detail::Hdf5Guard guard;
  auto context = std::make_shared<detail::Hdf5Context>();
  context->file = name;
  context->code = code;
  context->bytes = std::move(bytes);
  const detail::Hdf5Handle access = detail::image_access(*context);
  detail::must(H5Pset_file_image(access.id(), context->bytes.data(), context->bytes.size()));
  context->handle = detail::Hdf5Handle(H5Fopen(detail::image_name(*context).c_str(), H5F_ACC_RDONLY, access.id()));
  if (context->handle.id() < 0)
    throw Error(code, concat(name, ": cannot open as an HDF5 file: ", detail::hdf5_cause()));
  return Hdf5File(context);
}

Hdf5File Hdf5File::create_image(const std::string& name, ExitCode code) {
  const detail::Hdf5Guard guard;
  auto context = std::make_shared<detail::Hdf5Context>();
  context->file = name;
  context->code = code;
  const detail::Hdf5Handle access = detail::image_access(*context), creation(detail::must(H5Pcreate(H5P_FILE_CREATE)));
  detail::must(H5Pset_fclose_degree(access.id(), H5F_CLOSE_SEMI));
  detail::must(H5Pset_libver_bounds(access.id(), H5F_LIBVER_V18, H5F_LIBVER_V18));
  detail::must(H5Pset_obj_track_times(creation.id(), false));
  context->handle =
      detail::Hdf5Handle(H5Fcreate(detail::image_name(*context).c_str(), H5F_ACC_TRUNC, creation.id(), access.id()));
  if (context->handle.id() < 0) detail::hdf5_fail(*context, "", "create an HDF5 file in memory");
  return Hdf5File(context);
}

std::vector<char> Hdf5File::image() {
  const detail::Hdf5Guard guard;
  handle_.close();
  // Closing completes the file; H5Fget_file_image (seen with 1.10.8) would leave a superblock with a wrong checksum.
  if (H5Fclose(context_->handle.id()) < 0) fail("complete the file in memory");
  context_->handle.forget();
  std::vector<char> bytes = std::move(context_->bytes);
  const std::size_t length = detail::stated_length(bytes);
  if (length > bytes.size())
    throw Error(ExitCode::kInternal,
                concat(context_->file, ": ", bytes.size(), " bytes in memory, its header says ", length));
  bytes.resize(length);
  return bytes;
}

}  // namespace sluice
