#include "apps/pytorch/export_module.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/known_normalization.hpp"
#include "apps/load.hpp"
#include "apps/outputs.hpp"
#include "apps/pytorch/safetensors.hpp"
#include "apps/pytorch/write_module.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/config/text.hpp"
#include "core/train/import.hpp"
#include "core/train/training_checkpoint.hpp"
#include "gating/torch.hpp"
#include "layers/torch.hpp"

namespace sluice {
namespace {

[[noreturn]] void refuse(const std::string& text) {
  throw Error(ExitCode::kUsage, "command line: " + text);
}

bool has_extension(const std::string& path, const char* extension) {
  return std::filesystem::path(path).extension() == extension;
}

/// The same for all names of a file that is not there yet.
std::filesystem::path place_of(const std::string& path) {
  std::error_code problem;
  const std::filesystem::path place = std::filesystem::weakly_canonical(std::filesystem::absolute(path), problem);
  return problem ? std::filesystem::path(path) : place;
}

/// Those of the layers in the module, the averaged ones where there are any.
Checkpoint weights_for(const Checkpoint& checkpoint, const std::vector<std::string>& layers) {
  Checkpoint weights = checkpoint.kind == Checkpoint::Kind::kFull ? weights_of(checkpoint) : checkpoint;
  weights.file = checkpoint.file;
  const auto is_left_out = [&](const CheckpointTensor& tensor) {
    const std::size_t begin = tensor.path.find('/') + 1;
    return !contains(layers, tensor.path.substr(begin, tensor.path.rfind('/') - begin));
  };
  weights.tensors.erase(std::remove_if(weights.tensors.begin(), weights.tensors.end(), is_left_out),
                        weights.tensors.end());
  return weights;
}

/// PyTorch's names, where the module has everything.
std::map<std::string, std::string> names_in(const Registry& registry) {
  std::map<std::string, std::string> names;
  for (const auto& [name, torch_name] : registry.torch_names()) {
    if (!torch_name.empty()) names[name] = torch_name;
  }
  return names;
}

std::string safetensors_of(const Checkpoint& weights, const std::map<std::string, std::string>& names) {
  std::map<std::string, NamedTensor> tensors;
  for (const auto& [name, path] : torch_paths(weights, names)) {
    const CheckpointTensor& tensor = *weights.find(path);
    tensors[name] = {tensor.shape, &weights.values_of(tensor).values};
  }
  return safetensors(tensors);
}

TorchModuleFacts facts_of(const Trained& trained, const Checkpoint& stored, bool hdf5) {
  TorchModuleFacts facts;
  const Shape batch = trained.network.network().input_shape(1);
  facts.image = {batch[kC], batch[kH], batch[kW]};
  facts.content_digest = content_digest(stored);
  facts.class_names = trained.checkpoint.class_names;
  facts.normalization = known_normalization(trained.network);
  facts.weights_are_hdf5 = hdf5;
  return facts;
}

TorchLayers torch_layers() {
  TorchLayers layers;
  register_torch_layers(layers);
  register_gated_torch_layers(layers);
  return layers;
}

}  // namespace

int export_torch_module(const CommandLine& line) {
  if (line.positional().size() != 3)
    refuse(concat("expected CHECKPOINT.h5 --pytorch MODEL.py WEIGHTS.h5, got ", line.positional().size(), " files"));
  const std::string &input = line.positional()[0], &module_path = line.positional()[1],
                    &weights_path = line.positional()[2];
  const bool hdf5 = has_extension(weights_path, ".h5");
  if (!hdf5 && !has_extension(weights_path, ".safetensors"))
    refuse(concat("--pytorch: ", quoted(weights_path), " ends neither in .h5 nor in .safetensors"));
  if (place_of(module_path) == place_of(weights_path))
    refuse(concat("--pytorch: both files are ", quoted(module_path)));
  const Output module(module_path, {"sluice-export", is_torch_module_of_sluice, line.has("force")});
  const Output weights(weights_path,
                       {"sluice-export", hdf5 ? is_exported : is_safetensors_of_sluice, line.has("force")});
  Registry registry;
  const Trained trained = load_trained(input, line.overrides(), registry);
  module.refuse_inputs({input});
  weights.refuse_inputs({input, module_path});
  const TorchParts parts = torch_parts(trained.network.network(), torch_layers());
  const Checkpoint stored = load(input), tensors = weights_for(stored, parts.layers);
  const std::map<std::string, std::string> names = names_in(registry);
  const std::string text = torch_module(parts, facts_of(trained, stored, hdf5));
  if (hdf5)
    weights.write(export_weights(tensors, names, weights_path).bytes);
  else
    weights.write(safetensors_of(tensors, names));
  module.write(text);
  if (!trained.checkpoint.ranges.empty())
    std::cerr << "note: " << input << " rounds to int8; the module computes in fp32\n";
  std::ostream& out = report_stream(module);
  const std::size_t count = torch_paths(tensors, names).size();
  if (line.has("json"))
    out << json_text(nlohmann::ordered_json{
               {"file", input}, {"module", module_path}, {"weights", weights_path}, {"tensors", count}})
        << "\n";
  else
    out << "wrote " << module_path << " and " << weights_path << ": " << count << " tensors of " << input << "\n";
  return 0;
}

}  // namespace sluice
