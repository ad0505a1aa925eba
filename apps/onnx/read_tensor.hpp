// Constants of ONNX files: numbers of every width, in the file or beside it.
#pragma once

#include <map>
#include <string>

#include "apps/onnx/onnx_model.pb.h"
#include "apps/onnx/read_model.hpp"

namespace sluice {

class TensorReader {
 public:
  /// Of the model in this file.
  explicit TensorReader(std::string model) : model_(std::move(model)) {}

  /// Throws Error(kCheckpoint), in words about `name`.
  ForeignConstant read(const std::string& name, const sluice_onnx::TensorProto& tensor);

 private:
  [[noreturn]] void refuse(const std::string& name, const std::string& text) const;
  Shape shape_of(const std::string& name, const sluice_onnx::TensorProto& tensor) const;
  std::string external(const std::string& name, const sluice_onnx::TensorProto& tensor, std::int64_t bytes);

  std::string model_;
  std::map<std::string, std::int64_t> taken_;  ///< bytes read of each other file
  std::int64_t beside_ = 0;                    ///< of all of them
};

/// Reads `bytes` bytes from `offset` on of a file in the folder of `model` or below it. Throws Error(kCheckpoint) with
/// the reason alone: a path that is absolute or leads elsewhere, a symbolic link in it, no regular file, too few bytes.
/// `size`: of the whole file.
std::string read_beside(const std::string& model, const std::string& location, std::int64_t offset, std::int64_t bytes,
                        std::int64_t& size);

}  // namespace sluice
