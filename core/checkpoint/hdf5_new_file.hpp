// A new HDF5 file on the disk, for what is too large to be made in memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/checkpoint/hdf5.hpp"

namespace sluice {

/// Bytes that are written in the order of their rows.
class Hdf5NewBytes : public Hdf5Object {
 public:
  /// Rows of a chunk: as many should be written at a time, and the last ones fewer.
  std::int64_t chunk_rows() const { return chunk_rows_; }
  /// Writes the next rows.
  void append(const std::uint8_t* values, std::int64_t rows);
  /// Ends it. Throws where something could not be written.
  void complete();

 private:
  friend class Hdf5NewFile;
  Hdf5NewBytes(Context context, std::string path, detail::Hdf5Handle handle, const Shape& shape,
               std::int64_t chunk_rows);

  std::vector<std::int64_t> shape_;
  std::int64_t chunk_rows_, next_ = 0;
};

/// Format bounds as those of Hdf5File::create_image: equal contents give equal bytes. The first 512 bytes are left to
/// the user; HDF5 passes over them.
class Hdf5NewFile : public Hdf5Group {
 public:
  /// Nothing may have the name `path`; `name` stands in messages.
  Hdf5NewFile(const std::string& path, const std::string& name, ExitCode code);
  /// A data set of bytes in chunks of whole rows (of the first axis) with checksums; `shape` has elements.
  Hdf5NewBytes create_bytes(const std::string& name, const Shape& shape);
  /// Ends writing, once all that was created in it is gone. Throws where something could not be written.
  void complete();

 private:
  explicit Hdf5NewFile(Context context);
};

}  // namespace sluice
