// CIFAR-10 and CIFAR-100 as pickles of Python ("cifar-10-batches-py", "cifar-100-python").
#include "apps/pack/array_set.hpp"
#include "apps/pack/pickle.hpp"
#include "core/base/error.hpp"
#include "core/data/input_file.hpp"
#include "core/data/interleave.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kSide = 32, kImageBytes = 3 * kSide * kSide;

[[noreturn]] void fail(const std::string& path, const std::string& problem) {
  throw Error(ExitCode::kData, concat(path, ": ", problem, "; it is no file of CIFAR's Python version"));
}

const PickleValue& member(const Pickle& pickle, const std::string& path, const char* key, PickleValue::Kind kind) {
  const PickleValue* const value = pickle.root().find(key);
  if (value == nullptr || value->kind != kind) fail(path, concat("expected an entry '", key, "'"));
  return *value;
}

ArrayPart read_part(const std::string& folder, const std::string& name, const std::string& labels_key, Split split,
                    std::int64_t classes) {
  const std::string path = folder + "/" + name;
  const Pickle pickle(path);
  const PickleValue& data = member(pickle, path, "data", PickleValue::Kind::kArray);
  const PickleValue& labels = member(pickle, path, labels_key.c_str(), PickleValue::Kind::kList);
  const auto count = static_cast<std::int64_t>(labels.items.size());
  if (data.shape != std::vector<std::int64_t>{count, kImageBytes})
    fail(path, concat("expected ", count, " x ", kImageBytes, " pixels for ", count, " labels"));
  ArrayPart part{name, split, {3, kSide, kSide}, std::vector<std::uint8_t>(data.text.size()), {}};
  for (std::int64_t i = 0; i < count; ++i) {
    const PickleValue& label = *labels.items[static_cast<std::size_t>(i)];
    if (label.kind != PickleValue::Kind::kNumber || label.number < 0 || label.number >= classes)
      fail(path, concat("label ", i, ": expected an integer of 0 to ", classes - 1));
    part.labels.push_back(static_cast<std::int32_t>(label.number));
    interleave(reinterpret_cast<const std::uint8_t*>(data.text.data()) + i * kImageBytes, 3, kSide * kSide,
               part.pixels.data() + i * kImageBytes);
  }
  return part;
}

std::vector<std::string> read_names(const std::string& path, const std::string& key) {
  const Pickle pickle(path);
  std::vector<std::string> names;
  for (const PickleValue* name : member(pickle, path, key.c_str(), PickleValue::Kind::kList).items) {
    if (name->kind != PickleValue::Kind::kText) fail(path, "expected texts as names of classes");
    names.emplace_back(name->text);
  }
  return names;
}

/// `folder`, or the one of that name in it, where it has such a file.
std::string find_folder(const std::string& folder, const std::string& usual, const std::string& file) {
  for (const std::string& candidate : {folder, folder + "/" + usual})
    if (path_exists(candidate + "/" + file) && !is_folder(candidate + "/" + file)) return candidate;
  return "";
}

}  // namespace

std::optional<ArraySet> read_cifar_python(const std::string& folder) {
  ArraySet set;
  std::vector<std::string> train = {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"};
  std::string test = "test_batch", labels = "labels";
  std::string found = find_folder(folder, "cifar-10-batches-py", "batches.meta");
  if (!found.empty()) {
    set.class_names = read_names(found + "/batches.meta", "label_names");
  } else {
    found = find_folder(folder, "cifar-100-python", "meta");
    if (found.empty() || is_folder(found + "/train")) return std::nullopt;
    train = {"train"};
    test = "test";
    labels = "fine_labels";
    set.class_names = read_names(found + "/meta", "fine_label_names");
  }
  const auto classes = static_cast<std::int64_t>(set.class_names.size());
  for (const std::string& name : train) set.parts.push_back(read_part(found, name, labels, Split::kTrain, classes));
  if (path_exists(found + "/" + test)) set.parts.push_back(read_part(found, test, labels, Split::kTest, classes));
  return set;
}

}  // namespace sluice
