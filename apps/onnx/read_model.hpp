// ONNX files of others, read and checked: nothing in here trusts what the file says.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/shape.hpp"

namespace sluice {

using Floats = std::shared_ptr<const std::vector<float>>;
using Wholes = std::shared_ptr<const std::vector<std::int64_t>>;

/// A constant, row-major: floats of any width as floats, or whole numbers such as shapes. Copies share the values.
struct ForeignConstant {
  Shape shape;
  std::variant<Floats, Wholes> values;

  /// Null where they are of the other kind.
  Floats floats() const { return get<Floats>(); }
  Wholes wholes() const { return get<Wholes>(); }

 private:
  template <class T>
  T get() const {
    const T* const found = std::get_if<T>(&values);
    return found == nullptr ? nullptr : *found;
  }
};

using ForeignAttribute = std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>, ForeignConstant>;

struct ForeignNode {
  std::string op, name;
  std::string module;                ///< the part of the exported program that it belongs to, "layer1.0.conv1", or ""
  std::vector<std::string> inputs;   ///< "": left out
  std::vector<std::string> results;  ///< the first has a name
  std::map<std::string, ForeignAttribute> attributes;
};

struct ForeignModel {
  std::string file;
  std::string input, answer;       ///< values
  std::int64_t batch = 0;          ///< images that the model is made for; 0: any number
  Shape image;                     ///< C x H x W or H x W x C
  std::vector<ForeignNode> nodes;  ///< each behind those whose results it uses
  std::map<std::string, ForeignConstant> constants;
  std::map<std::string, std::string> metadata;
  std::int64_t opset = 0;
};

/// Throws Error(kCheckpoint) with one line where the file cannot be read, is no ONNX model, is damaged, or says
/// something that cannot be; and where it has not one input of images of known size. Values in other files are read
/// where these lie in the model's folder or below it.
ForeignModel read_onnx(const std::string& path);
/// The same of bytes; `path` names them in messages, and its folder has the other files.
ForeignModel parse_onnx(std::string_view bytes, const std::string& path);

}  // namespace sluice
