// What was packed so far, on the disk: a packing that was interrupted goes on from there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/descriptor.hpp"
#include "core/data/dataset.hpp"
#include "core/picture/picture.hpp"

namespace sluice {

/// One picture in the spool.
struct SpooledPicture {
  std::string name;
  Split split = Split::kTrain;
  std::int32_t label = 0;
  PictureSize size;        ///< 0x0: it cannot be read, and its bytes say why
  std::int64_t begin = 0;  ///< of its bytes in the spool
  std::int64_t bytes = 0;
  bool good() const { return size.height > 0; }
};

/// A file of records, each with a digest. Damaged ones at its end, which a killed process leaves, are cut off. Every
/// failure is an Error(kEnvironment).
class Spool {
 public:
  /// Opens or makes it. `job` is a digest of what is packed and how; a spool of another job is an error, as is a file
  /// that is none, and one that another process writes.
  Spool(const std::string& path, const std::string& job);

  const std::string& path() const { return path_; }
  const std::vector<SpooledPicture>& pictures() const { return pictures_; }
  /// `bytes` is set here.
  void append(SpooledPicture picture, std::string_view bytes);
  /// Adds the bytes of a picture.
  void read(const SpooledPicture& picture, std::string& bytes) const;
  /// Removes the file.
  void remove();

 private:
  void begin(const std::string& head);
  bool take_record(std::int64_t size, std::string& buffer);

  std::string path_;
  Descriptor file_;
  std::int64_t end_ = 0;
  std::vector<SpooledPicture> pictures_;
};

}  // namespace sluice
