#include "apps/pytorch/write_module.hpp"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/pytorch/module_classes.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/output.hpp"
#include "core/base/printable.hpp"

namespace sluice {
namespace {

constexpr char kHeading[] = "\"\"\"A network of Sluice as a PyTorch module, written by sluice-export.\n";

constexpr char kReadSafetensors[] = R"(    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        numbers = bytearray(file.read())
    header.pop("__metadata__", None)
    weights = {}
    for name, tensor in header.items():
        begin, end = tensor["data_offsets"]
        values = torch.frombuffer(numbers, dtype=torch.float32, count=(end - begin) // 4, offset=begin)
        weights[name] = values.reshape(tensor["shape"])
)";

constexpr char kReadHdf5[] = R"(    import h5py

    with h5py.File(path, "r") as file:
        weights = {name: torch.from_numpy(file[name][()]) for name in file}
)";

/// In Python, in ASCII: JSON's strings and numbers are Python's but for characters beyond 16 bits.
std::string python_text(const nlohmann::json& item) {
  const std::string text = json_text(item, -1);
  std::string ascii;
  for (std::size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    const auto code = static_cast<unsigned>(character.code.value_or(0xFFFD));
    if (code < 0x80) {
      ascii += text[at];
    } else {
      std::array<char, 16> escape{};
      std::snprintf(escape.data(), escape.size(), code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
      ascii += escape.data();
    }
    at += character.bytes;
  }
  return ascii;
}

/// `NAME = [...]`, on as many lines as it takes.
std::string assigned_list(const std::string& name, const nlohmann::json& items) {
  std::string text, line = name + " = [";
  for (const nlohmann::json& item : items) {
    const std::string own = python_text(item) + ", ";
    if (line.size() + own.size() > kTorchColumns) {
      text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
      line = "    ";
    }
    line += own;
  }
  return text + line.substr(0, line.find_last_not_of(", ") + 1) + "]\n";
}

std::string head(const TorchModuleFacts& facts) {
  const Shape& image = facts.image;
  const std::string size = concat(image[0], " x ", image[1], " x ", image[2]);
  const std::string weights = facts.weights_are_hdf5 ? "weights.h5" : "weights.safetensors";
  return concat(kHeading, "\n    network = load(\"", weights, "\")\n    logits = network(images)\n\n",
                "Images are N x ", size, ", floats",
                facts.normalization ? ": (byte / 255 - MEAN) / STD by channel" : ", normalised", ".\n",
                "Digest of the checkpoint: ", facts.content_digest, "\n\"\"\"\n");
}

}  // namespace

std::string torch_module(const TorchParts& parts, const TorchModuleFacts& facts) {
  std::string text = head(facts);
  text += facts.weights_are_hdf5 ? "" : "import json\n\n";
  text += "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n";
  if (!facts.class_names.empty()) text += assigned_list("CLASS_NAMES", facts.class_names);
  if (facts.normalization) {
    text += assigned_list("MEAN", facts.normalization->mean);
    text += assigned_list("STD", facts.normalization->std);
  }
  text += torch_classes(parts);
  text += "\n\ndef load(path):\n    \"\"\"The network in evaluation, with weights that sluice-export wrote.\"\"\"\n";
  text += facts.weights_are_hdf5 ? kReadHdf5 : kReadSafetensors;
  return text +
         "    network = Network()\n    network.load_state_dict(weights, strict=True)\n    return network.eval()\n";
}

bool is_torch_module_of_sluice(const std::string& path) {
  return begins_with(path, kHeading);
}

}  // namespace sluice
