// The Street View House Numbers, cropped: MAT files with images X, height x width x channels x N, and labels y, in
// which 10 is the digit 0.
#include <cmath>
#include <filesystem>

#include "apps/pack/array_set.hpp"
#include "apps/pack/mat5.hpp"
#include "core/base/error.hpp"
#include "core/data/input_file.hpp"
#include "core/data/interleave.hpp"

namespace sluice {
namespace {

constexpr char kAdvice[] = "fetch SVHN again";
constexpr char kEnd[] = "_32x32.mat";
constexpr std::int64_t kMostBytes = std::int64_t{1} << 33, kMostSide = 1 << 16, kDigits = 10;

[[noreturn]] void fail(const std::string& path, const std::string& problem) {
  throw Error(ExitCode::kData, concat(path, ": ", problem, "; ", kAdvice));
}

void put_pixels(const std::string& path, const MatArray& images, ArrayPart& part) {
  std::vector<std::int64_t> shape = images.shape;
  if (shape.size() == 3) shape.push_back(1);  // MATLAB drops a last size of 1
  const bool good = images.kind == 'u' && images.size == 1 && shape.size() == 4 && (shape[2] == 1 || shape[2] == 3) &&
                    shape[0] >= 1 && shape[0] <= kMostSide && shape[1] >= 1 && shape[1] <= kMostSide;
  if (!good) fail(path, "expected X to be unsigned bytes, height x width x channels x N, with 1 or 3 channels");
  part.shape = {shape[2], shape[0], shape[1]};
  const std::int64_t area = shape[0] * shape[1], each = part.shape.count();
  part.pixels.resize(images.bytes.size());
  std::vector<std::uint8_t> columns(static_cast<std::size_t>(each));
  for (std::int64_t i = 0; i < shape[3]; ++i) {
    const auto* const from = reinterpret_cast<const std::uint8_t*>(images.bytes.data()) + i * each;
    interleave(from, shape[2], area, columns.data());
    transpose(columns.data(), shape[1], shape[0], shape[2], part.pixels.data() + i * each);
  }
}

void put_labels(const std::string& path, const MatArray& labels, std::int64_t images, ArrayPart& part) {
  if (labels.count() != images)
    fail(path, concat("expected a label for each of the ", images, " images, got ", labels.count()));
  for (std::int64_t i = 0; i < labels.count(); ++i) {
    const double label = labels.value(i);
    if (!(label >= 0 && label <= kDigits && label == std::floor(label)))
      fail(path, concat("label ", i, ": expected 0 to ", kDigits, ", got ", label));
    part.labels.push_back(static_cast<std::int32_t>(static_cast<std::int64_t>(label) % kDigits));
  }
}

ArrayPart read_part(const std::string& path, const std::string& name, Split split) {
  const std::map<std::string, MatArray> arrays = read_mat_file(path, kAdvice, {"X", "y"}, kMostBytes);
  for (const char* wanted : {"X", "y"})
    if (arrays.count(wanted) == 0) fail(path, concat("has no array ", wanted));
  ArrayPart part;
  part.name = name;
  part.split = split;
  put_pixels(path, arrays.at("X"), part);
  put_labels(path, arrays.at("y"), static_cast<std::int64_t>(part.pixels.size()) / part.shape.count(), part);
  return part;
}

}  // namespace

/// Of a folder the training and the test set; `extra` where its file is named.
std::optional<ArraySet> read_svhn(const std::string& path) {
  ArraySet set;
  if (!is_folder(path)) {
    const std::filesystem::path file(path);
    if (file.extension() != ".mat") return std::nullopt;
    const std::string name = file.stem().string();
    set.parts.push_back(read_part(path, name, name.rfind("test", 0) == 0 ? Split::kTest : Split::kTrain));
    return set;
  }
  const std::string train = concat(path, "/train", kEnd), test = concat(path, "/test", kEnd);
  if (!path_exists(train)) return std::nullopt;
  set.parts.push_back(read_part(train, "train", Split::kTrain));
  if (path_exists(test)) set.parts.push_back(read_part(test, "test", Split::kTest));
  return set;
}

}  // namespace sluice
