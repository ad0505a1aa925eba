// A layer as PyTorch code, for those who write a network as a module that people read and train (apps/pytorch).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/graph/portable.hpp"

namespace sluice {

/// A class or function that the code of layers needs, in Python.
struct TorchDefinition {
  const char* text;                                ///< ends with a line's end
  std::vector<const TorchDefinition*> needs = {};  ///< that must stand before it
};

/// Of a module's constructor.
struct TorchArgument {
  std::string name;        ///< "in_channels"
  std::string value;       ///< in Python
  std::string usual = "";  ///< left out where the value is this; empty: written without its name
};
using TorchArguments = std::vector<TorchArgument>;

/// In Python: "16"; "True"; the shortest text of a number.
std::string torch_text(std::int64_t value);
std::string torch_text(bool value);
std::string torch_text(double value);

/// A module that is called with the layer's sources, or an expression in them.
struct TorchLayer {
  /// Of the module; empty where there is none. What has an expression as well is a module in a chain of modules alone.
  std::string type;               ///< "nn.Conv2d"
  TorchArguments arguments = {};  ///< those without names first
  /// {0}, {1}: the sources; {*}: all of them; {self}: the module. Several results: a tuple.
  std::string call = "{self}({*})";
  bool is_operation = false;  ///< wants brackets inside of another: a + b
  std::vector<const TorchDefinition*> needs = {};

  bool has_state() const { return call.find("{self}") != std::string::npos; }
};

/// The code of one layer; its sources' names are not known.
using TorchWriter = std::function<TorchLayer(const PortableLayer& layer)>;

/// How the kinds of layers (Attributes::kind) are written.
class TorchLayers {
 public:
  /// Throws Error(kInternal) where the kind has one.
  void add(const std::string& kind, TorchWriter writer);
  bool knows(const std::string& kind) const { return writers_.count(kind) != 0; }
  /// Throws Error(kUsage) where the kind has none.
  TorchLayer write(const PortableLayer& layer) const;

 private:
  std::map<std::string, TorchWriter> writers_;
};

}  // namespace sluice
