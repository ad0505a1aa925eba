// What the source files of the HDF5 layer share. Nothing else includes it: hdf5.h stays out of the public headers.
#pragma once

#include <hdf5.h>

#include <algorithm>
#include <exception>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint/hdf5.hpp"

namespace sluice::detail {

static_assert(sizeof(hid_t) == sizeof(std::int64_t), "handles are kept as 64-bit integers");

/// Held around every use of the library: it is not thread-safe in every build, and its error printing is set by thread.
class Hdf5Guard {
 public:
  Hdf5Guard();

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

/// What is compared to see that a file is still the one that was opened.
struct FileState {
  std::uint64_t device = 0, inode = 0;
  std::int64_t size = 0, seconds = 0, nanoseconds = 0;
  bool operator==(const FileState& other) const {
    return device == other.device && inode == other.inode && size == other.size && seconds == other.seconds &&
           nanoseconds == other.nanoseconds;
  }
};

/// One open file. The bytes of an image stay here as long as anything of the file is open.
struct Hdf5Context {
  std::string file;
  ExitCode code;
  OtherFiles others;
  std::vector<char> bytes;
  std::string refusal;                     ///< why the link that was followed last leads nowhere
  int descriptor = -1;                     ///< the library's, of a file that is no image
  FileState state;                         ///< of it
  std::map<std::string, FileState> parts;  ///< other files that values come from
  Hdf5Handle link_access, group_access, data_set_access;
  Hdf5Handle handle;
};

/// Around calls that make or set property lists and types of ours, which fail for want of memory alone.
inline hid_t must(hid_t result) {
  if (result < 0) throw std::bad_alloc();
  return result;
}

/// Throws where the library's last failure was for want of memory: what it did not find may be there.
void check_memory();

/// The names that the library tells a callback. No exception may pass through the library: one waits for its return.
struct Names {
  std::vector<std::string> list;
  std::exception_ptr problem;
  template <class Info>
  static herr_t add(hid_t, const char* name, const Info*, void* names) {
    try {
      static_cast<Names*>(names)->list.emplace_back(name);
      return 0;
    } catch (...) {
      static_cast<Names*>(names)->problem = std::current_exception();
      return -1;
    }
  }
  std::vector<std::string> take() {
    if (problem) std::rethrow_exception(problem);
    return std::move(list);
  }
};
/// Makes the lists with which members are looked up, so that links into other files are followed only where allowed.
void prepare_access(Hdf5Context& context);
/// Remembers what the file is now.
void watch(Hdf5Context& context);
/// Throws where it, or a part of it, is not what it was.
void check_unchanged(const Hdf5Context& context, const std::string& where);
/// Throws unless all values of the data set are stored, here or in other files that may be read; `where` names it.
void check_stored(Hdf5Context& context, hid_t data_set, const std::string& where, int depth = 0);
/// The same for one whose values lie in other files.
void check_external(Hdf5Context& context, hid_t data_set, hid_t creation, const std::string& where);
void check_virtual(Hdf5Context& context, hid_t data_set, hid_t creation, const std::string& where, int depth);
/// Bytes of all its values; nothing where they are more than 64 bits count.
std::optional<std::int64_t> claimed_bytes(hid_t data_set);
/// "the HDF5 filter lzf (32000)" for the first that a data set wants and the library lacks; empty where there is none.
std::string missing_filter(hid_t creation);

/// The innermost entry of the library's error stack, on one line. Throws std::bad_alloc for want of memory.
std::string hdf5_cause();
[[noreturn]] void hdf5_fail(const Hdf5Context& context, const std::string& path, const std::string& doing);

/// How a file is opened to be read.
Hdf5Handle file_access();
hid_t native_type(Number number);
ElementType element_type(hid_t type);
/// The dimensions of a data space; throws through hdf5_fail where it has none (a null space).
Shape space_shape(const Hdf5Context& context, const std::string& path, hid_t space);
/// Reads texts of a data set or attribute through `read(memory type, buffer)`, which returns HDF5's status.
template <class Read>
bool read_texts(hid_t type, hid_t space, std::int64_t count, std::vector<std::string>& texts, Read read);
/// Fixed-length UTF-8 text.
Hdf5Handle text_type(std::size_t length);

template <class Read>
bool read_texts(hid_t type, hid_t space, std::int64_t count, std::vector<std::string>& texts, Read read) {
  const std::size_t n = static_cast<std::size_t>(count);
  if (H5Tis_variable_str(type) > 0) {
    std::vector<char*> pointers(n, nullptr);
    if (n > 0 && read(type, pointers.data()) < 0) return false;
    for (const char* text : pointers) texts.emplace_back(text == nullptr ? "" : text);
#if H5_VERSION_GE(1, 12, 0)
    if (n > 0) H5Treclaim(type, space, H5P_DEFAULT, pointers.data());
#else
    if (n > 0) H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
#endif
    return true;
  }
  const std::size_t length = H5Tget_size(type);
  std::vector<char> buffer(n * length);
  if (n > 0 && read(type, buffer.data()) < 0) return false;
  for (std::size_t i = 0; i < n; ++i) {
    std::string text(buffer.data() + i * length, length);
    text.resize(std::min(text.find('\0'), text.size()));
    if (H5Tget_strpad(type) == H5T_STR_SPACEPAD) text.resize(text.find_last_not_of(' ') + 1);
    texts.push_back(std::move(text));
  }
  return true;
}

/// Rows of a chunk of some 4 MiB, for chunks of equal size: a last one that reaches far beyond the end would take room
/// in the file. The shape holds an element.
inline std::int64_t rows_of_chunk(const Shape& shape, std::int64_t element_bytes) {
  constexpr std::int64_t kChunkBytes = 4 << 20;
  const std::int64_t chunks = (shape.count() * element_bytes + kChunkBytes - 1) / kChunkBytes;
  return std::max<std::int64_t>((shape[0] + chunks - 1) / chunks, 1);
}

}  // namespace sluice::detail
