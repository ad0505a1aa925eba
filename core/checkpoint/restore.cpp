// Matching by name and shape; all problems are collected before anything is copied.
#include "core/checkpoint/restore.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"

namespace sluice {
namespace {

/// "" when all values are finite.
std::string find_bad_value(const std::vector<float>& values) {
  const auto bad = [](float value) { return !std::isfinite(value); };
  const auto first = std::find_if(values.begin(), values.end(), bad);
  if (first == values.end()) return "";
  const auto count = std::count_if(first, values.end(), bad);
  return concat(count, " of ", values.size(), " values are NaN or Inf, the first (", *first, ") is element ",
                first - values.begin());
}

std::string join(const std::string& prefix, const std::string& path) {
  return prefix.empty() ? path : prefix + "/" + path;
}

std::string describe(const std::string& file, std::size_t total, const std::vector<std::string>& problems) {
  std::string text =
      concat(file.empty() ? "checkpoint" : one_line(file), ": ", problems.size(), " of ", total,
             problems.size() == 1 ? " tensors does not fit the network:" : " tensors do not fit the network:");
  for (const std::string& problem : problems) text += "\n  " + one_line(problem);
  return text;
}

}  // namespace

RestoreReport restore(const Checkpoint& checkpoint, const std::vector<TensorSlot>& slots, const std::string& prefix,
                      bool strict) {
  std::map<std::string, const CheckpointTensor*> tensors;
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    if (prefix.empty() || tensor.path.compare(0, prefix.size() + 1, prefix + "/") == 0) tensors[tensor.path] = &tensor;
  }
  RestoreReport report;
  std::vector<std::string> problems;
  std::set<std::string> wanted;
  for (const TensorSlot& slot : slots) {
    const std::string path = join(prefix, slot.path);
    wanted.insert(path);
    const auto found = tensors.find(path);
    if (found == tensors.end()) {
      report.missing.push_back(path);
      if (strict)
        problems.push_back(concat(path, ": missing in the checkpoint, the network has ", to_string(slot.shape)));
      continue;
    }
    const Shape& shape = found->second->shape;
    if (shape != slot.shape) {
      problems.push_back(
          concat(path, ": the checkpoint has ", to_string(shape), ", the network ", to_string(slot.shape)));
      continue;
    }
    const std::string bad = find_bad_value(checkpoint.values_of(*found->second).values);
    if (!bad.empty()) problems.push_back(path + ": " + bad);
    report.restored.push_back(path);
  }
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    if (tensors.count(tensor.path) == 0 || wanted.count(tensor.path) > 0) continue;
    report.extra.push_back(tensor.path);
    if (strict)
      problems.push_back(
          concat(tensor.path, ": the checkpoint has ", to_string(tensor.shape), ", the network has no such tensor"));
  }
  if (!problems.empty())
    throw ErrorLines(ExitCode::kCheckpoint, describe(checkpoint.file, report.extra.size() + slots.size(), problems));
  for (const TensorSlot& slot : slots) {
    const auto found = tensors.find(join(prefix, slot.path));
    if (found == tensors.end()) continue;
    const std::vector<float>& values = checkpoint.values_of(*found->second).values;
    std::copy(values.begin(), values.end(), slot.data);
  }
  return report;
}

}  // namespace sluice
