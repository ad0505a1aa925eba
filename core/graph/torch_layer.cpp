#include "core/graph/torch_layer.hpp"

#include <charconv>
#include <cmath>

#include "core/base/error.hpp"

namespace sluice {
namespace {

template <class T>
std::string shortest(T value) {
  char text[64];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace

std::string torch_text(std::int64_t value) {
  return std::to_string(value);
}

std::string torch_text(bool value) {
  return value ? "True" : "False";
}

std::string torch_text(double value) {
  if (!std::isfinite(value)) return concat("float(\"", shortest(value), "\")");
  const auto narrow = static_cast<float>(value);
  std::string text = static_cast<double>(narrow) == value ? shortest(narrow) : shortest(value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

void TorchLayers::add(const std::string& kind, TorchWriter writer) {
  if (!writers_.emplace(kind, std::move(writer)).second)
    throw Error(ExitCode::kInternal, concat("layers of kind ", kind, " are written in PyTorch twice"));
}

TorchLayer TorchLayers::write(const PortableLayer& layer) const {
  const auto found = writers_.find(layer.attributes.kind());
  if (found == writers_.end()) {
    throw Error(ExitCode::kUsage, concat(layer.node.section.where("type"), ": layers of type ", layer.node.type,
                                         " cannot be written in PyTorch; export the weights alone (-o weights.h5)"));
  }
  return found->second(layer);
}

}  // namespace sluice
