// Matching names and shapes of a foreign file with those of a network.
#include "core/train/import.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/base/error.hpp"
#include "core/checkpoint/foreign_file.hpp"
#include "core/config/text.hpp"
#include "core/model/network_checkpoint.hpp"

namespace sluice {
namespace {

using Names = std::map<std::string, std::string>;

/// One tensor of the network with all of its names: those of the layers that share it, each with ours and PyTorch's.
struct Target {
  std::string tensor;
  std::vector<std::string> names;
  Shape shape;
  float* data = nullptr;
  bool ours_alone = false;  ///< PyTorch code has no such tensor
};

struct ForeignTensor {
  std::string path;  ///< below the group
  DataSetInfo info;
  bool used = false;
};

Shape without_ones(const Shape& shape) {
  std::vector<std::int64_t> dims;
  std::copy_if(shape.dims().begin(), shape.dims().end(), std::back_inserter(dims),
               [](std::int64_t size) { return size != 1; });
  return Shape(dims);
}

std::string dotted(std::string path) {
  std::replace(path.begin(), path.end(), '/', '.');
  return path;
}

void add_targets(std::vector<Target>& targets, const std::string& prefix, const std::vector<TensorSlot>& slots,
                 const Names& torch_names) {
  for (const TensorSlot& slot : slots) {
    if (targets.empty() || targets.back().data != slot.data)
      targets.push_back({prefix + slot.path, {}, slot.shape, slot.data});
    Target& target = targets.back();
    target.names.push_back(dotted(slot.path));
    const std::size_t name = slot.path.rfind('/') + 1;
    const auto torch = torch_names.find(slot.path.substr(name));
    if (torch == torch_names.end()) continue;
    target.ours_alone = torch->second.empty();
    if (!target.ours_alone) target.names.push_back(dotted(slot.path.substr(0, name) + torch->second));
  }
}

std::vector<Target> targets_of(Network& network) {
  const Names& torch_names = network.registry().torch_names();
  std::vector<Target> targets;
  add_targets(targets, "weights/", parameter_slots(network, network.parameter_data()), torch_names);
  add_targets(targets, "buffers/", buffer_slots(network, network.buffer_data()), torch_names);
  return targets;
}

/// Replaces whole parts between dots.
std::string renamed(const std::string& name, const std::string& from, const std::string& to) {
  std::string text = "." + name + ".";
  const std::string old_parts = "." + from + ".", new_parts = to.empty() ? "." : "." + to + ".";
  for (std::size_t at = 0; (at = text.find(old_parts, at)) != std::string::npos; at += new_parts.size() - 1) {
    text.replace(at, old_parts.size(), new_parts);
  }
  return text.size() < 3 ? "" : text.substr(1, text.size() - 2);
}

/// PyTorch's data-parallel and compiled modules put these before every name.
bool strip_wrapper(std::string& name) {
  for (const char* wrapper : {"module.", "_orig_mod."}) {
    const std::string prefix = wrapper;
    if (name.size() > prefix.size() && starts_with(name, prefix)) {
      name.erase(0, prefix.size());
      return true;
    }
  }
  return false;
}

/// A checkpoint's own layout: weights/<layer>/<name> and buffers/<layer>/<name>, and below other roots what is no
/// weight.
constexpr const char* kOwnRoots[] = {"weights/", "buffers/"};

const char* own_root(const std::string& path) {
  for (const char* root : kOwnRoots) {
    if (path.rfind(root, 0) == 0) return root;
  }
  return nullptr;
}

bool is_batch_counter(const std::string& name) {
  const std::string counter = "num_batches_tracked";
  return name == counter || ends_with(name, "." + counter);
}

class Importer {
 public:
  Importer(const ImportOptions& options, std::vector<Target> targets)
      : options_(options), targets_(std::move(targets)), file_(options.file, options.group) {
    report_.tensors = static_cast<std::int64_t>(targets_.size());
  }

  ImportReport run() {
    list_file();
    for (const Target& target : targets_) match(target);
    for (const auto& [name, tensor] : tensors_) {
      if (!tensor.used) report_.extra.push_back({tensor.path, tensor.info.shape, to_string(tensor.info.type)});
    }
    for (ImportReport::Missing& missing : report_.missing) missing.hint = hint(missing);
    if (report_.complete(options_.partial)) copy();
    return std::move(report_);
  }

 private:
  /// The layers' groups stand below "weights", where no layer of the network has that name.
  bool has_own_layout(const FileTree& tree) const {
    const auto is_weight = [](const TreeDataSet& data_set) { return own_root(data_set.path) == kOwnRoots[0]; };
    const auto is_called_so = [](const Target& target) { return target.tensor.find("/weights/") != std::string::npos; };
    return std::any_of(tree.data_sets.begin(), tree.data_sets.end(), is_weight) &&
           std::none_of(targets_.begin(), targets_.end(), is_called_so);
  }

  void list_file() {
    const FileTree& tree = file_.tree();
    report_.unreadable = tree.problems;
    std::vector<bool> rename_used(options_.renames.size(), false);
    const bool own = has_own_layout(tree);
    for (const TreeDataSet& data_set : tree.data_sets) {
      const char* root = own ? own_root(data_set.path) : "";
      if (root == nullptr) {
        report_.left.push_back(data_set.path);
        continue;
      }
      std::string name = dotted(data_set.path.substr(std::string(root).size()));
      bool stripped = false;
      while (strip_wrapper(name)) stripped = true;
      if (stripped) report_.stripped.push_back(data_set.path);
      for (std::size_t i = 0; i < options_.renames.size(); ++i) {
        const std::string changed = renamed(name, options_.renames[i].first, options_.renames[i].second);
        rename_used[i] = rename_used[i] || changed != name;
        name = changed;
      }
      add(name, data_set);
    }
    for (std::size_t i = 0; i < rename_used.size(); ++i) {
      if (rename_used[i]) continue;
      throw Error(ExitCode::kUsage, concat("command line: --rename: no name in ", file_.where(), " contains '",
                                           options_.renames[i].first, "'"));
    }
  }

  void add(const std::string& name, const TreeDataSet& data_set) {
    const auto wanted = [&name](const Target& target) {
      return std::find(target.names.begin(), target.names.end(), name) != target.names.end();
    };
    if (is_batch_counter(name) && std::none_of(targets_.begin(), targets_.end(), wanted)) {
      report_.skipped.push_back(data_set.path);
      return;
    }
    const auto [place, is_new] = tensors_.emplace(name, ForeignTensor{data_set.path, data_set.info});
    if (is_new) return;
    throw Error(ExitCode::kCheckpoint, concat(file_.where(), ": '", place->second.path, "' and '", data_set.path,
                                              "' both become ", name, "; remove one, or rename it with --rename"));
  }

  void match(const Target& target) {
    const std::string* first = nullptr;
    for (const std::string& name : target.names) {
      const auto found = tensors_.find(name);
      if (found == tensors_.end()) continue;
      found->second.used = true;
      if (!check(target, found->second)) return;
      if (first == nullptr) {
        first = &found->first;
        values_[target.tensor] = file_.read(found->second.path);
        if (!finite(found->second, values_[target.tensor])) return;
      } else if (file_.read(found->second.path) != values_[target.tensor]) {
        report_.unusable.push_back(concat(found->second.path, ": differs from ", tensors_.at(*first).path,
                                          ", but the network has one tensor for both (", target.tensor, ")"));
        return;
      }
    }
    if (first == nullptr && target.ours_alone) {
      report_.kept.push_back(target.names.front());
      --report_.tensors;
      return;
    }
    if (first == nullptr) {
      report_.missing.push_back({target.names.front(), target.tensor, target.shape, ""});
      return;
    }
    const ForeignTensor& tensor = tensors_.at(*first);
    report_.matched.push_back(
        {tensor.path, target.tensor, tensor.info.shape, target.shape, to_string(tensor.info.type)});
  }

  /// False, and reported, where the data set does not fit the tensor.
  bool check(const Target& target, const ForeignTensor& tensor) {
    const std::string type = to_string(tensor.info.type);
    if (tensor.info.type.kind != ElementType::Kind::kFloat) {
      report_.unusable.push_back(concat(tensor.path, ": holds ", type, ", expected floating-point numbers"));
      return false;
    }
    if (without_ones(tensor.info.shape) == without_ones(target.shape)) return true;
    report_.misshapen.push_back({tensor.path, target.tensor, tensor.info.shape, target.shape, type});
    return false;
  }

  bool finite(const ForeignTensor& tensor, const std::vector<float>& values) {
    const auto bad = std::count_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
    if (bad == 0) return true;
    report_.unusable.push_back(
        concat(tensor.path, ": ", bad, " of ", values.size(), " values are NaN, Inf or beyond float32"));
    return false;
  }

  /// Another name in the file that may be meant: longer by parts in front, or of the same shape with the same ending.
  std::string hint(const ImportReport::Missing& missing) const {
    const std::string& name = missing.name;
    for (const ImportReport::Extra& extra : report_.extra) {
      const std::string other = dotted(extra.name);
      if (other.size() <= name.size() + 1 || !ends_with(other, "." + name)) continue;
      const std::size_t front = extra.name.size() - name.size() - 1;
      if (extra.name[front] == '/') return concat("the file has it below --group ", below(extra.name.substr(0, front)));
      return concat("the file has '", extra.name, "': --rename ", extra.name.substr(0, front), "=");
    }
    const std::string ending = name.substr(name.rfind('.') + 1);
    for (const ImportReport::Extra& extra : report_.extra) {
      const std::string other = dotted(extra.name);
      if (other.substr(other.rfind('.') + 1) == ending && without_ones(extra.shape) == without_ones(missing.shape))
        return concat("not used in the file and of this shape: ", extra.name);
    }
    return "";
  }

  std::string below(const std::string& path) const { return (file_.path() == "/" ? "" : file_.path()) + "/" + path; }

  void copy() {
    for (const Target& target : targets_) {
      const auto found = values_.find(target.tensor);
      if (found != values_.end()) std::copy(found->second.begin(), found->second.end(), target.data);
    }
  }

  const ImportOptions& options_;
  std::vector<Target> targets_;
  ForeignFile file_;
  std::map<std::string, ForeignTensor> tensors_;  ///< by the name it would have in PyTorch
  std::map<std::string, std::vector<float>> values_;
  ImportReport report_;
};

}  // namespace

bool ImportReport::complete(bool partial) const {
  return unusable.empty() && !matched.empty() && (partial || (missing.empty() && misshapen.empty()));
}

ImportReport import_weights(const ImportOptions& options, Network& network) {
  return Importer(options, targets_of(network)).run();
}

}  // namespace sluice
