#include "apps/onnx/import_model.hpp"

#include <nlohmann/json.hpp>

#include "core/base/error.hpp"

namespace sluice {
namespace {

/// A list of numbers in the metadata of a model that we exported; "" where there is none.
std::string numbers_in(const ForeignModel& model, const char* key) {
  const auto found = model.metadata.find(key);
  if (found == model.metadata.end()) return "";
  const nlohmann::json numbers = nlohmann::json::parse(found->second, nullptr, false);
  if (!numbers.is_array()) return "";
  std::string list;
  for (const nlohmann::json& number : numbers) {
    if (!number.is_number()) return "";
    list += (list.empty() ? "" : ", ") + number.dump();
  }
  return list;
}

/// Photographs come as folders; small images in other forms, which nobody knows.
std::string data_text(const ForeignModel& model, const Shape& image) {
  const std::int64_t size = image[1];
  std::string text;
  if (size >= 64 && image[2] == size) {
    text += concat("kind = folder              # pictures in a folder for each class: docs/pictures.md\n",
                   "transforms = random_resized_crop(", size, "), flip\neval_transforms = resize(", size * 8 / 7,
                   "), center_crop(", size, ")\n");
  }
  const std::string mean = numbers_in(model, "mean"), std = numbers_in(model, "std");
  if (!mean.empty() && !std.empty()) text += concat("mean = ", mean, "\nstd = ", std, "\n");
  return text.empty() ? "" : "\n[data]\n" + text;
}

}  // namespace

ImportedModel describe_model(const ForeignModel& model, const LayerList& list) {
  ImportedModel made;
  made.ini = "# Made by sluice-import.\n" + network_text(list) + data_text(model, list.image);
  for (const ListedLayer& layer : list.layers) {
    for (const auto& [name, values] : layer.tensors) made.tensors[layer.name + "/" + name] = values;
  }
  return made;
}

ImportedModel import_model(const ForeignModel& model) {
  return describe_model(model, list_layers(model));
}

}  // namespace sluice
