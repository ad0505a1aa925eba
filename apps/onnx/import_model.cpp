#include "apps/onnx/import_model.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/config/text.hpp"

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

/// As keys of [data], which are of numbers from 0 to 1. What makes them much smaller expects them up to 255.
std::string normalization_text(const Affine& done) {
  constexpr double kSmall = 0.25;
  const double most = *std::max_element(done.factor.begin(), done.factor.end()), range = most < kSmall ? 255 : 1;
  std::vector<std::string> mean, std;
  for (std::size_t c = 0; c < done.factor.size(); ++c) {
    const double scale = done.factor[c] * range;
    mean.push_back(concat(0.0 - done.term[c] / scale));  // to six digits: it was computed
    std.push_back(concat(1 / scale));
  }
  return concat("mean = ", join(mean), "\nstd = ", join(std), "\n");
}

/// Of the model itself, or of what it says.
std::string normalization_of(const ForeignModel& model, const Affine& done) {
  if (!done.factor.empty()) return normalization_text(done);
  const std::string mean = numbers_in(model, "mean"), std = numbers_in(model, "std");
  return mean.empty() || std.empty() ? "" : concat("mean = ", mean, "\nstd = ", std, "\n");
}

/// Photographs come as folders; small images in other forms, which nobody knows.
std::string data_text(const ForeignModel& model, const LayerList& list) {
  const Shape& image = list.image;
  const std::int64_t size = image[1];
  std::string text;
  if (size >= 64 && image[2] == size) {
    text += concat("kind = folder              # pictures in a folder for each class: docs/pictures.md\n",
                   "transforms = random_resized_crop(", size, "), flip\neval_transforms = resize(", size * 8 / 7,
                   "), center_crop(", size, ")\n");
  }
  text += normalization_of(model, list.normalization);
  return text.empty() ? "" : "\n[data]\n" + text;
}

}  // namespace

ImportedModel describe_model(const ForeignModel& model, const LayerList& list) {
  ImportedModel made;
  made.ini = "# Made by sluice-import.\n" + network_text(list) + data_text(model, list);
  for (const ListedLayer& layer : list.layers) {
    for (const auto& [name, values] : layer.tensors) made.tensors[layer.name + "/" + name] = values;
  }
  return made;
}

ImportedModel import_model(const ForeignModel& model) {
  return describe_model(model, list_layers(model));
}

}  // namespace sluice
