// Images and labels in npz files: one file with both, as Keras and MedMNIST have them, or a folder as Kuzushiji-MNIST.
#include <algorithm>
#include <filesystem>

#include "apps/pack/array_set.hpp"
#include "apps/pack/npz.hpp"
#include "core/base/error.hpp"
#include "core/config/text.hpp"
#include "core/data/input_file.hpp"
#include "core/data/interleave.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostBytes = std::int64_t{1} << 33, kMostClasses = 1 << 24;

using Arrays = std::map<std::string, NpyArray>;

/// Names of the training set's images and labels, and of the test set's.
constexpr const char* kNames[][4] = {{"x_train", "y_train", "x_test", "y_test"},
                                     {"train_images", "train_labels", "test_images", "test_labels"},
                                     {"images", "labels", "", ""},
                                     {"x", "y", "", ""}};

[[noreturn]] void fail(const std::string& where, const std::string& problem) {
  throw Error(ExitCode::kData, concat(where, ": ", problem));
}

bool is_channels(std::int64_t count) {
  return count == 1 || count == 3;
}

/// N x H x W, N x H x W x C or N x C x H x W; C: 1 or 3.
void put_pixels(const std::string& where, const NpyArray& images, ArrayPart& part) {
  const std::vector<std::int64_t>& shape = images.shape;
  if (images.kind != 'u' || images.size != 1) fail(where, "expected images of unsigned bytes");
  const bool grey = shape.size() == 3, last = shape.size() == 4 && is_channels(shape[3]);
  if (!grey && !last && !(shape.size() == 4 && is_channels(shape[1])))
    fail(where, "expected images N x H x W, N x H x W x C or N x C x H x W, with 1 or 3 channels");
  const std::size_t height = grey || last ? 1 : 2;
  part.shape = {grey ? 1 : last ? shape[3] : shape[1], shape[height], shape[height + 1]};
  if (part.shape.count() < 1) fail(where, "its images have no pixels");
  part.pixels.resize(images.bytes.size());
  const auto* const from = reinterpret_cast<const std::uint8_t*>(images.bytes.data());
  const std::int64_t area = part.shape.height * part.shape.width, each = part.shape.count();
  for (std::int64_t i = 0; i < shape[0]; ++i) {
    if (grey || last)
      std::copy_n(from + i * each, each, part.pixels.data() + i * each);
    else
      interleave(from + i * each, part.shape.channels, area, part.pixels.data() + i * each);
  }
}

ArrayPart make_part(const std::string& name, const std::string& where, const NpyArray& images, const NpyArray& labels,
                    Split split) {
  ArrayPart part;
  part.name = name;
  part.split = split;
  put_pixels(where, images, part);
  if (labels.shape.empty() || labels.shape[0] != images.shape[0] || labels.count() != images.shape[0])
    fail(where, concat("expected a label for each of the ", images.shape[0], " images, got ", labels.count()));
  for (std::int64_t i = 0; i < labels.count(); ++i) {
    const std::int64_t label = labels.value(i);
    if (label < 0 || label >= kMostClasses)
      fail(where, concat("label ", i, ": expected 0 to ", kMostClasses - 1, ", got ", label));
    part.labels.push_back(static_cast<std::int32_t>(label));
  }
  return part;
}

ArraySet read_file(const std::string& path) {
  const Arrays arrays = read_npz_file(path, kMostBytes);
  for (const auto& [train, train_labels, test, test_labels] : kNames) {
    const auto has = [&](const char* name) { return arrays.count(name) != 0; };
    if (!has(train) || !has(train_labels)) continue;
    ArraySet set;
    set.parts.push_back(make_part(train, path, arrays.at(train), arrays.at(train_labels), Split::kTrain));
    if (has(test) && has(test_labels))
      set.parts.push_back(make_part(test, path, arrays.at(test), arrays.at(test_labels), Split::kTest));
    return set;
  }
  std::vector<std::string> names;
  for (const auto& [name, array] : arrays) names.push_back(name);
  fail(path,
       concat("expected arrays x_train and y_train, train_images and train_labels, images and labels, or x and y, "
              "got ",
              names.empty() ? "none" : join(names)));
}

/// The only array of a file.
NpyArray read_array(const std::string& path) {
  Arrays arrays = read_npz_file(path, kMostBytes);
  if (arrays.size() != 1) fail(path, concat("expected one array, got ", arrays.size()));
  return std::move(arrays.begin()->second);
}

}  // namespace

std::optional<ArraySet> read_npz(const std::string& path) {
  if (!is_folder(path)) {
    if (!ends_with(path, ".npz")) return std::nullopt;
    return read_file(path);
  }
  const std::string end = "-imgs.npz";
  ArraySet set;
  std::vector<std::string> files;
  std::error_code problem;
  for (const auto& file : fs::directory_iterator(path, problem)) files.push_back(file.path().filename().string());
  std::sort(files.begin(), files.end());
  for (const std::string& name : files) {
    if (!ends_with(name, end)) continue;
    const std::string begin = name.substr(0, name.size() - end.size());
    const std::string images = path + "/" + name;
    set.parts.push_back(make_part(begin, images, read_array(images), read_array(path + "/" + begin + "-labels.npz"),
                                  ends_with(begin, "-test") ? Split::kTest : Split::kTrain));
  }
  if (set.parts.empty()) return std::nullopt;
  return set;
}

}  // namespace sluice
