// A small RAII layer over the HDF5 C library: files, groups, data sets and attributes by name; every failure is one
// Error line.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/shape.hpp"

namespace sluice {

/// What a data set or an attribute holds. HDF5 converts between number types when it reads; values that do not fit are
/// clamped.
struct ElementType {
  enum class Kind { kSigned, kUnsigned, kFloat, kText, kOther };
  Kind kind = Kind::kOther;
  std::int64_t bytes = 0;  ///< of one element in the file; of a pointer for text of variable length
  std::string other = {};  ///< what it is where the kind is kOther: "records", "opaque bytes"
  bool is_number() const { return kind == Kind::kSigned || kind == Kind::kUnsigned || kind == Kind::kFloat; }
};
/// "uint8", "float32", "text", "records".
std::string to_string(const ElementType& type);

struct DataSetInfo {
  ElementType type;
  Shape shape;                      ///< no dimension is a scalar
  std::vector<std::int64_t> chunk;  ///< empty when the data set is not chunked
  bool checksum = false;            ///< Fletcher32
  std::int64_t stored_bytes =
      0;  ///< in the file; smaller than the elements where data are compressed or were never written
};

/// Which other files a file may name as the place of its values. By default none is read.
struct OtherFiles {
  bool parts_beside = false;  ///< parts of virtual data sets that lie in the folder of the file that names them
  std::string folder = {};    ///< anything in this folder, after links are resolved; empty: nothing
  std::string advice = {};    ///< ends the message about a file that is not read: "; ..."
};

namespace detail {
struct Hdf5Context;

/// An HDF5 identifier, closed with its owner.
class Hdf5Handle {
 public:
  Hdf5Handle() = default;
  explicit Hdf5Handle(std::int64_t id) : id_(id) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(other.id_) { other.id_ = -1; }
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept;
  ~Hdf5Handle() { close(); }
  /// False where the library could not, and so may not have written what belongs to it.
  bool close() noexcept;
  /// Leaves the identifier to somebody else.
  void forget() { id_ = -1; }
  std::int64_t id() const { return id_; }

 private:
  std::int64_t id_ = -1;
};

enum class Number { kInt8, kUint8, kInt16, kUint16, kInt32, kUint32, kInt64, kUint64, kFloat, kDouble };
template <class T>
Number number();  // defined for the types behind the names above
}  // namespace detail

/// A group or a data set: what both have. An object keeps its file open. All of HDF5 runs under one lock, so objects of
/// different threads do not disturb each other.
class Hdf5Object {
 public:
  /// "/weights/conv1"
  const std::string& path() const { return path_; }
  /// "file.h5: /weights/conv1", the beginning of messages.
  std::string where() const;
  /// Equal for two hard links to one object, different otherwise (within a file).
  std::string identity() const;

  std::vector<std::string> attributes() const;
  bool has_attribute(const std::string& name) const;
  ElementType attribute_type(const std::string& name) const;
  /// All elements of a text attribute in order; one for a scalar.
  std::vector<std::string> text_attribute(const std::string& name) const;
  /// All elements of a number attribute in order; one for a scalar.
  template <class T>
  std::vector<T> attribute(const std::string& name) const {
    std::vector<T> values(static_cast<std::size_t>(attribute_count(name)));
    read_attribute(name, detail::number<T>(), values.data());
    return values;
  }
  void write_attribute(const std::string& name, const std::string& text);
  void write_attribute(const std::string& name, std::int64_t value);
  void write_attribute(const std::string& name, double value);

 protected:
  using Context = std::shared_ptr<detail::Hdf5Context>;
  Hdf5Object(Context context, std::string path, detail::Hdf5Handle handle);
  [[noreturn]] void fail(const std::string& doing) const;
  std::int64_t attribute_count(const std::string& name) const;
  void read_attribute(const std::string& name, detail::Number type, void* values) const;
  void write_attribute(const std::string& name, std::int64_t type, const void* value);
  detail::Hdf5Handle open_attribute(const std::string& name) const;

  Context context_;
  std::string path_;
  detail::Hdf5Handle handle_;
};

class Hdf5DataSet : public Hdf5Object {
 public:
  const DataSetInfo& info() const { return info_; }
  const Shape& shape() const { return info_.shape; }

  /// Throws unless every value is stored: the library would make up those of chunks that were never written and of
  /// parts that are missing. Each read below does this first, and then sees that no file was changed meanwhile.
  void check_stored() const;

  /// The whole data set, row-major.
  template <class T>
  std::vector<T> read() const {
    std::vector<T> values;
    resize(values);
    read(detail::number<T>(), nullptr, nullptr, values.data());
    return values;
  }
  /// The box that starts at `offset` and has `count` elements along each axis (both of the data set's rank) into
  /// `values`, row-major.
  template <class T>
  void read(const std::vector<std::int64_t>& offset, const std::vector<std::int64_t>& count, T* values) const {
    read(detail::number<T>(), &offset, &count, values);
  }
  /// All elements of a text data set (fixed or variable length) in order; one for a scalar.
  std::vector<std::string> read_text() const;
  /// Names and values (rows x columns) of a one-dimensional data set whose elements are records of numbers.
  void read_table(std::vector<std::string>& columns, std::vector<double>& values) const;

 private:
  friend class Hdf5Group;
  Hdf5DataSet(Context context, std::string path, detail::Hdf5Handle handle);
  void read(detail::Number type, const std::vector<std::int64_t>* offset, const std::vector<std::int64_t>* count,
            void* values) const;
  std::int64_t checked_count(std::size_t element_bytes) const;
  void check_claim(std::int64_t bytes) const;
  /// The same where memory for all of them is to be made.
  std::int64_t claimed_count(std::size_t element_bytes) const;
  [[noreturn]] void fail_reading() const;
  template <class T>
  void resize(std::vector<T>& values) const {
    values.resize(static_cast<std::size_t>(claimed_count(sizeof(T))));
  }

  DataSetInfo info_;
  mutable bool stored_ = false;  ///< check_stored has passed
};

class Hdf5Group : public Hdf5Object {
 public:
  enum class Kind {
    kGroup,
    kDataSet,
    kOther,
    kAbsent
  };  ///< kOther: a named type, a dangling link, a link into another file

  /// Names of the members, sorted.
  std::vector<std::string> members() const;
  /// Kind of one member.
  Kind kind(const std::string& name) const;
  bool has_data_set(const std::string& name) const { return kind(name) == Kind::kDataSet; }
  /// A group below this one; `name` may be a path such as "conv1/weight". Throws where there is none.
  Hdf5Group group(const std::string& name) const;
  Hdf5DataSet data_set(const std::string& name) const;

  Hdf5Group create_group(const std::string& name);
  /// Arrays are stored in chunks with Fletcher32 checksums, scalars in the object's header (which has a checksum of its
  /// own).
  template <class T>
  void write(const std::string& name, const Shape& shape, const T* values) {
    write(name, shape, detail::number<T>(), values);
  }
  /// Plain: without chunks and checksums, for readers that cope with nothing else.
  void write_contiguous(const std::string& name, const Shape& shape, const float* values);
  /// A scalar text, and a list of texts (both UTF-8, of fixed length, padded with zeros).
  void write_text(const std::string& name, const std::string& text);
  void write_text(const std::string& name, const std::vector<std::string>& texts);
  /// Records of doubles, one named member for each column; `values` is rows x columns.
  void write_table(const std::string& name, const std::vector<std::string>& columns, const std::vector<double>& values);
  /// Another name (below this group) for the object at `target` (an absolute path).
  void link(const std::string& name, const std::string& target);

 protected:
  friend class Hdf5File;
  Hdf5Group(Context context, std::string path, detail::Hdf5Handle handle)
      : Hdf5Object(std::move(context), std::move(path), std::move(handle)) {}
  void write(const std::string& name, const Shape& shape, detail::Number type, const void* values);
  void write(const std::string& name, const Shape& shape, std::int64_t type, const void* values);
  void write(const std::string& name, const Shape& shape, std::int64_t type, const detail::Hdf5Handle& storage,
             const void* values);
  std::string below(const std::string& name) const;
  [[noreturn]] void refuse(const std::string& name, Kind found, const std::string& expected) const;
};

/// An open file is its root group. Every Error of the file carries `code`: kCheckpoint, or kData for data sets.
class Hdf5File : public Hdf5Group {
 public:
  /// Opens read-only, without file locks (HDF5_USE_FILE_LOCKING overrules that).
  static Hdf5File open(const std::string& path, ExitCode code, OtherFiles others = {});
  /// Opens the bytes of a file that were read before; `name` stands in messages.
  static Hdf5File open_image(std::vector<char> bytes, const std::string& name, ExitCode code);
  /// A new file in memory (format bounds 1.8 to 1.8, no times: equal contents give equal bytes). `image` returns its
  /// bytes.
  static Hdf5File create_image(const std::string& name, ExitCode code);
  std::vector<char> image();

 private:
  explicit Hdf5File(Context context);
};

}  // namespace sluice
