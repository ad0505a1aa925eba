// A checkpoint whose values stay in the process that reads its file, and are fetched where they belong.
#pragma once

#include <string>

#include "core/checkpoint/checkpoint.hpp"
#include "core/reader/reader_process.hpp"

namespace sluice {

/// `load` without a second copy of the values in this process. Every failure is an Error(kCheckpoint) that names the
/// file.
class StoredCheckpoint {
 public:
  /// Reads the whole file, and checks it as `load` does.
  explicit StoredCheckpoint(const std::string& path);

  /// All but the values.
  const Checkpoint& document() const { return document_; }
  /// Puts the values of one of its tensors, as many as its shape says, into `values`.
  void read(const CheckpointTensor& tensor, float* values);

 private:
  ReaderProcess reader_;
  Checkpoint document_;
};

}  // namespace sluice
