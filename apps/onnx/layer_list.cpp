#include "apps/onnx/layer_list.hpp"

#include <cstdio>
#include <cstdlib>

namespace sluice {

const LayerKey* ListedLayer::find(const std::string& key) const {
  for (const LayerKey& k : keys) {
    if (k.name == key) return &k;
  }
  return nullptr;
}

void ListedLayer::set(const std::string& key, const std::string& value, bool usual) {
  for (LayerKey& k : keys) {
    if (k.name == key) {
      k = {key, value, usual};
      return;
    }
  }
  keys.push_back({key, value, usual});
}

std::string float_text(double number) {
  const auto wanted = static_cast<float>(number);
  char text[32];
  for (int digits = 6; digits <= 9; ++digits) {
    std::snprintf(text, sizeof(text), "%.*g", digits, static_cast<double>(wanted));
    if (std::strtof(text, nullptr) == wanted) break;
  }
  return text;
}

ListedLayer plain_batchnorm(std::size_t channels) {
  constexpr double kEps = 1e-5;
  const auto all = [&](double value) {
    return std::make_shared<const std::vector<float>>(channels, static_cast<float>(value));
  };
  ListedLayer made;
  made.type = "batchnorm";
  made.set("eps", float_text(kEps), true);
  made.tensors = {{"weight", all(1)}, {"bias", all(0)}, {"running_mean", all(0)}, {"running_var", all(1 - kEps)}};
  return made;
}

}  // namespace sluice
