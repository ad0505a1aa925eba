// Matching by name and shape; all problems are collected before anything is copied.
#include "core/checkpoint/restore.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/checkpoint/stored_checkpoint.hpp"

namespace sluice {
namespace {

/// "" when all values are finite.
std::string find_bad_value(const float* values, std::int64_t count) {
  const auto bad = [](float value) { return !std::isfinite(value); };
  const float* const end = values + count;
  const float* const first = std::find_if(values, end, bad);
  if (first == end) return "";
  return concat(std::count_if(first, end, bad), " of ", count, " values are NaN or Inf, the first (", *first,
                ") is element ", first - values);
}

std::string below(const std::string& prefix, const std::string& path) {
  return prefix.empty() ? path : prefix + "/" + path;
}

std::string describe(const std::string& file, std::size_t total, const std::vector<std::string>& problems) {
  std::string text =
      concat(file.empty() ? "checkpoint" : one_line(file), ": ", problems.size(), " of ", total,
             problems.size() == 1 ? " tensors does not fit the network:" : " tensors do not fit the network:");
  for (const std::string& problem : problems) text += "\n  " + one_line(problem);
  return text;
}

/// What is wrong with the values of a tensor for a slot, or "".
using Look = std::function<std::string(const CheckpointTensor&, const TensorSlot&)>;

/// Finds the tensor of each slot and looks at its values. Throws where anything is wrong.
RestoreReport match(const Checkpoint& checkpoint, const std::vector<TensorSlot>& slots, const std::string& prefix,
                    bool strict, const Look& look) {
  std::map<std::string, const CheckpointTensor*> tensors;
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    if (prefix.empty() || tensor.path.compare(0, prefix.size() + 1, prefix + "/") == 0) tensors[tensor.path] = &tensor;
  }
  RestoreReport report;
  std::vector<std::string> problems;
  std::set<std::string> wanted;
  for (const TensorSlot& slot : slots) {
    const std::string path = below(prefix, slot.path);
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
    const std::string bad = look(*found->second, slot);
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
  return report;
}

}  // namespace

RestoreReport restore(const Checkpoint& checkpoint, const std::vector<TensorSlot>& slots, const std::string& prefix,
                      bool strict) {
  const auto values_of = [&](const CheckpointTensor& tensor) -> const std::vector<float>& {
    return checkpoint.values_of(tensor).values;
  };
  const RestoreReport report =
      match(checkpoint, slots, prefix, strict, [&](const CheckpointTensor& tensor, const TensorSlot&) {
        return find_bad_value(values_of(tensor).data(), static_cast<std::int64_t>(values_of(tensor).size()));
      });
  for (const TensorSlot& slot : slots) {
    const CheckpointTensor* const tensor = checkpoint.find(below(prefix, slot.path));
    if (tensor != nullptr) std::copy(values_of(*tensor).begin(), values_of(*tensor).end(), slot.data);
  }
  return report;
}

RestoreReport restore(StoredCheckpoint& stored, const std::vector<TensorSlot>& slots, const std::string& prefix,
                      bool strict) {
  return match(stored.document(), slots, prefix, strict, [&](const CheckpointTensor& tensor, const TensorSlot& slot) {
    stored.read(tensor, slot.data);
    return find_bad_value(slot.data, slot.shape.count());
  });
}

}  // namespace sluice
