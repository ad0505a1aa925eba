// Looks for everything that can be wrong in a file once it is open: members, types, shapes, values, checksums.
#include <algorithm>
#include <map>
#include <set>

#include "core/base/error.hpp"
#include "core/checkpoint/checkpoint_read.hpp"
#include "core/checkpoint/inspect_model.hpp"

namespace sluice::detail {
namespace {

/// Each once: what is damaged may be met several times.
class Problems {
 public:
  void push_back(const std::string& text) {
    if (std::find(texts_.begin(), texts_.end(), text) == texts_.end()) texts_.push_back(text);
  }
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  std::vector<std::string> texts_;
};

std::string part(const std::string& path, std::size_t index) {
  std::size_t begin = 0;
  for (; index > 0; --index) begin = path.find('/', begin) + 1;
  return path.substr(begin, path.find('/', begin) - begin);
}

/// Below "optimizer/momentum/" and "ema/weights/" the tensors are named as below "weights/".
bool is_companion(const std::string& path) {
  return part(path, 0) == "optimizer" || part(path, 0) == "ema";
}

bool is_tensor_path(const std::string& path) {
  const std::string root = part(path, 0);
  return root == "weights" || root == "buffers" || is_companion(path);
}

/// Reads every element, which lets HDF5 check every checksum.
void read_everything(const InspectedFile& file, Problems& problems) {
  for (const TreeDataSet& entry : file.tree.data_sets) {
    try {
      const Hdf5DataSet data_set = file.file.data_set(entry.path);
      if (data_set.info().type.kind == ElementType::Kind::kText) {
        data_set.read_text();
        continue;
      }
      if (!data_set.info().type.is_number()) continue;  // the history is read with the document
      const TensorStats stats = tensor_stats(data_set);
      if (file.checkpoint && is_tensor_path(entry.path) && stats.nans + stats.infs > 0)
        problems.push_back(
            concat(data_set.where(), ": ", stats.nans, " NaN and ", stats.infs, " Inf among ", stats.count, " values"));
    } catch (const Error& error) {
      if (error.code() == ExitCode::kEnvironment) throw;  // the file may be whole
      problems.push_back(error.what());
    }
  }
}

/// Layers, and tensors that belong together.
void check_tensors(const Checkpoint& checkpoint, const FileTree& tree, const std::string& path, Problems& problems) {
  const std::set<std::string> layers(checkpoint.layer_names.begin(), checkpoint.layer_names.end());
  std::set<std::string> listed;
  std::map<std::string, Shape> weights;  // below "weights/"
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    listed.insert(tensor.path);
    const std::string root = part(tensor.path, 0), where = concat(path, ": /", tensor.path);
    if (root == "weights") weights[tensor.path.substr(root.size() + 1)] = tensor.shape;
    if (!is_companion(tensor.path) && layers.count(part(tensor.path, 1)) == 0)
      problems.push_back(
          concat(where, ": layer '", part(tensor.path, 1), "' is not among the ", layers.size(), " of /layer_names"));
  }
  if (weights.empty()) problems.push_back(path + ": /weights: is missing, expected at least one tensor");
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    if (!is_companion(tensor.path)) continue;
    const std::string below = tensor.path.substr(tensor.path.find('/', tensor.path.find('/') + 1) + 1);
    const auto weight = weights.find(below);
    if (weight != weights.end() && weight->second != tensor.shape)
      problems.push_back(concat(path, ": /", tensor.path, ": has shape ", to_string(tensor.shape), ", /weights/", below,
                                " has ", to_string(weight->second)));
  }
  for (const TreeDataSet& entry : tree.data_sets) {
    if (is_tensor_path(entry.path) && listed.count(entry.path) == 0)
      problems.push_back(concat(path, ": /", entry.path, ": is not listed in /tensor_names"));
  }
}

void check_state(const Checkpoint& checkpoint, const std::string& path, Problems& problems) {
  if (checkpoint.mean.size() != checkpoint.std.size())
    problems.push_back(concat(path, ": /normalisation: ", checkpoint.mean.size(), " means and ", checkpoint.std.size(),
                              " deviations"));
  if (checkpoint.kind != Checkpoint::Kind::kFull) return;
  for (const char* name : {"epoch", "step"}) {
    const auto found = checkpoint.state.find(name);
    if (found == checkpoint.state.end() || !std::holds_alternative<std::int64_t>(found->second))
      problems.push_back(concat(path, ": /state/", name, ": is missing, a full checkpoint needs this integer"));
  }
}

}  // namespace

std::vector<std::string> find_problems(const InspectedFile& file, bool edited) {
  Problems problems;
  for (const std::string& text : file.tree.problems) problems.push_back(text);
  if (!file.problem.empty()) problems.push_back(file.problem);
  read_everything(file, problems);
  if (!file.checkpoint) {
    if (file.problem.empty())
      problems.push_back(file.path + ": is no checkpoint: it has no /format_version or no /tensor_names");
    return problems.texts();
  }
  try {
    const Checkpoint checkpoint = read_checkpoint(file.file, file.path);
    if (!edited) check_content(file.file, checkpoint);
  } catch (const Error& error) {
    if (error.code() == ExitCode::kEnvironment) throw;
    problems.push_back(error.what());
  }
  check_tensors(*file.checkpoint, file.tree, file.path, problems);
  check_state(*file.checkpoint, file.path, problems);
  return problems.texts();
}

}  // namespace sluice::detail
