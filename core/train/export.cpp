// The weights of a checkpoint in the form in which other programs hand them in.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include "core/base/error.hpp"
#include "core/checkpoint/hdf5.hpp"
#include "core/train/import.hpp"
#include "core/train/training_checkpoint.hpp"

namespace sluice {
namespace {

/// Behind the end that the file's header states: HDF5 ignores it, and we know our own file by it.
constexpr char kMark[] = "weights exported by Sluice\n";

using Names = std::map<std::string, std::string>;

/// "weights/layer1.0.conv1/weight" -> "layer1.0.conv1.weight"; "" for a tensor that PyTorch code does not have.
std::string torch_name(const std::string& path, const Names& torch_names) {
  const std::size_t last = path.rfind('/') + 1;
  std::string name = path.substr(path.find('/') + 1);
  if (const auto other = torch_names.find(path.substr(last)); other != torch_names.end()) {
    if (other->second.empty()) return "";
    name.replace(name.rfind('/') + 1, std::string::npos, other->second);
  }
  for (char& c : name) c = c == '/' ? '.' : c;
  return name;
}

}  // namespace

std::map<std::string, std::string> torch_paths(const Checkpoint& weights, const Names& torch_names) {
  std::map<std::string, std::string> paths;
  for (const CheckpointTensor& tensor : weights.tensors) {
    const std::string name = torch_name(tensor.path, torch_names);
    if (name.empty()) continue;
    const auto [other, is_new] = paths.emplace(name, tensor.path);
    if (!is_new) {
      throw Error(ExitCode::kCheckpoint, concat(weights.file, ": ", other->second, " and ", tensor.path,
                                                " would both be named ", name, "; rename one of the layers"));
    }
  }
  return paths;
}

ExportedWeights export_weights(const Checkpoint& checkpoint, const Names& torch_names, const std::string& path) {
  const Checkpoint weights = checkpoint.kind == Checkpoint::Kind::kFull ? weights_of(checkpoint) : checkpoint;
  Hdf5File file = Hdf5File::create_image(path, ExitCode::kEnvironment);
  const std::map<std::string, std::string> paths = torch_paths(weights, torch_names);
  for (const CheckpointTensor& tensor : weights.tensors) {
    const std::string name = torch_name(tensor.path, torch_names);
    if (name.empty()) continue;
    if (tensor.alias_of.empty())
      file.write_contiguous(name, tensor.shape, tensor.values.data());
    else
      file.link(name, "/" + torch_name(tensor.alias_of, torch_names));
  }
  std::vector<char> bytes = file.image();
  bytes.insert(bytes.end(), std::begin(kMark), std::end(kMark));
  return {std::move(bytes), static_cast<std::int64_t>(paths.size())};
}

bool is_exported(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(-static_cast<std::streamoff>(sizeof(kMark)), std::ios::end);
  char end[sizeof(kMark)] = "";
  return file.read(end, sizeof(end)) && std::equal(std::begin(end), std::end(end), std::begin(kMark));
}

}  // namespace sluice
