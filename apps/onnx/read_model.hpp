// ONNX files of others, read and checked: nothing in here trusts what the file says.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "core/base/shape.hpp"

namespace sluice {

/// A constant, row-major: floats, or whole numbers such as shapes.
struct ForeignConstant {
  Shape shape;
  std::variant<std::vector<float>, std::vector<std::int64_t>> values;
};

struct ForeignNode {
  std::string op, name;
  std::vector<std::string> inputs;  ///< "": left out
  std::string result;               ///< the first one
  std::map<std::string, std::variant<std::int64_t, double, std::vector<std::int64_t>>> attributes;
};

struct ForeignModel {
  std::string file;
  std::string input, answer;       ///< values
  Shape image;                     ///< C x H x W
  std::vector<ForeignNode> nodes;  ///< each behind those whose results it uses
  std::map<std::string, ForeignConstant> constants;
  std::map<std::string, std::string> metadata;
};

/// Throws Error(kCheckpoint) with one line where the file cannot be read, is no ONNX model, is damaged, or says
/// something that cannot be; where it has not one input of images N x C x H x W of known size; and where values lie in
/// other files.
ForeignModel read_onnx(const std::string& path);

}  // namespace sluice
