// Tensors in an HDF5 file of any origin.
#pragma once

#include <string>
#include <vector>

#include "core/checkpoint/tree.hpp"
#include "core/reader/reader_process.hpp"

namespace sluice {

/// One group of a file, read by a process of its own (core/reader/reader_process.hpp). Every failure is an
/// Error(kCheckpoint) that names the file.
class ForeignFile {
 public:
  /// `group`: with or without slashes at its ends; "" is the root.
  ForeignFile(const std::string& file, const std::string& group);

  /// "file.h5: /model", the beginning of messages.
  const std::string& where() const { return where_; }
  /// "/model"
  const std::string& path() const { return path_; }
  /// What is below the group. Groups have no attributes here, and of a data set only type and shape are known.
  const FileTree& tree() const { return tree_; }
  /// The values of a data set below the group.
  std::vector<float> read(const std::string& data_set);

 private:
  std::string file_, where_, path_;
  FileTree tree_;
  ReaderProcess reader_;
};

}  // namespace sluice
