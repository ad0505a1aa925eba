// MNIST and its relatives as IDX files, plain or gzipped: MNIST, Fashion-MNIST, EMNIST (whose images are transposed),
// QMNIST (whose labels have eight columns).
#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include "apps/pack/array_set.hpp"
#include "core/base/error.hpp"
#include "core/config/text.hpp"
#include "core/data/idx_file.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

/// Of one to four dimensions, of unsigned bytes or 32-bit integers.
IdxFile read(const std::string& path) {
  InputFile file(path, "fetch the file again");
  return read_idx(file, 1, [&](std::uint32_t magic) {
    const std::uint32_t type = magic >> 8, dimensions = magic & 0xff;
    if ((type != kIdxBytes && type != kIdxIntegers) || dimensions < 1 || dimensions > 4)
      file.fail(0, "expected an IDX file of unsigned bytes or 32-bit integers");
  });
}

std::vector<std::int32_t> labels_of(const IdxFile& idx, const std::string& path) {
  const std::size_t count = static_cast<std::size_t>(idx.dims[0]);
  if (idx.type == kIdxBytes && idx.dims.size() == 1) return {idx.values.begin(), idx.values.end()};
  if (idx.type != kIdxIntegers || idx.dims.size() != 2)
    throw Error(ExitCode::kData, concat(path, ": expected labels, as bytes or as rows of 32-bit integers"));
  std::vector<std::int32_t> labels;
  const std::size_t row = idx.values.size() / count;
  for (std::size_t i = 0; i < count; ++i) {  // the first of a row is the class
    const std::uint8_t* const value = idx.values.data() + i * row;
    if (value[0] != 0) throw Error(ExitCode::kData, concat(path, ": label ", i, " is too large"));
    labels.push_back(value[1] << 16 | value[2] << 8 | value[3]);
  }
  return labels;
}

ArrayPart read_part(const std::string& images_path, const std::string& labels_path, Split split) {
  IdxFile images = read(images_path);
  if (images.type != kIdxBytes || images.dims.size() != 3)
    throw Error(ExitCode::kData, concat(images_path, ": expected images, bytes in three dimensions"));
  ArrayPart part;
  part.name = fs::path(images_path).filename().string();
  part.name = part.name.substr(0, part.name.find("-images"));
  part.split = split;
  part.shape = {1, images.dims[1], images.dims[2]};
  part.labels = labels_of(read(labels_path), labels_path);
  if (static_cast<std::int64_t>(part.labels.size()) != images.dims[0])
    throw Error(ExitCode::kData, concat(labels_path, ": expected a label for each of the ", images.dims[0],
                                        " images of ", images_path, ", got ", part.labels.size()));
  part.pixels = std::move(images.values);
  if (part.name.rfind("emnist", 0) != 0) return part;
  std::vector<std::uint8_t> turned(part.pixels.size());
  const std::int64_t each = part.shape.count();
  for (std::int64_t i = 0; i < images.dims[0]; ++i)
    transpose(part.pixels.data() + i * each, part.shape.height, part.shape.width, 1, turned.data() + i * each);
  std::swap(part.shape.height, part.shape.width);
  part.pixels = std::move(turned);
  return part;
}

/// What stands before "-images" in the names of the folder's files of images, and the rest.
std::map<std::string, std::string> find_images(const std::string& folder) {
  std::map<std::string, std::string> found;
  std::error_code problem;
  for (const auto& file : fs::directory_iterator(folder, problem)) {
    const std::string name = file.path().filename().string();
    const std::size_t at = name.find("-images");
    if (at == std::string::npos || name.find("idx3-ubyte") == std::string::npos || name[0] == '.') continue;
    std::string& rest = found[name.substr(0, at)];
    if (rest.empty() || name.size() < at + rest.size()) rest = name.substr(at);  // plain before gzipped
  }
  return found;
}

std::string find_labels(const std::string& folder, const std::string& begin) {
  for (const char* end : {"-labels-idx1-ubyte", "-labels.idx1-ubyte", "-labels-idx2-int"}) {
    for (const char* packed : {"", ".gz"}) {
      const std::string path = concat(folder, "/", begin, end, packed);
      if (path_exists(path)) return path;
    }
  }
  throw Error(ExitCode::kData, concat(folder, ": has images of ", begin, " and no file ", begin, "-labels-idx1-ubyte"));
}

/// Of "emnist-letters-train": "emnist-letters-".
std::string set_of(const std::string& begin) {
  for (const std::string end : {"train", "test", "t10k"}) {
    if (ends_with(begin, end)) return begin.substr(0, begin.size() - end.size());
  }
  return begin;
}

/// Lines "1 65 97" of EMNIST: a label, counted on from the first line's, and the codes of its characters.
void take_mapping(const std::string& path, ArraySet& set) {
  int first = 0;
  for (const std::string& line : read_lines(path)) {
    std::istringstream words(line);
    int label = -1, code = 0;
    if (!(words >> label >> code) || code < 33 || code > 126)
      throw Error(ExitCode::kData, concat(path, ": expected lines such as '0 48', got ", quoted(line)));
    if (set.class_names.empty()) first = label;
    set.class_names.emplace_back(1, static_cast<char>(code));
  }
  for (ArrayPart& part : set.parts)
    for (std::int32_t& label : part.labels) label -= first;
}

}  // namespace

std::optional<ArraySet> read_idx_folder(const std::string& folder) {
  ArraySet set;
  std::string of;
  for (const auto& [begin, rest] : find_images(folder)) {
    if (!set.parts.empty() && set_of(begin) != of)
      throw Error(ExitCode::kData, concat(folder, ": holds several data sets, ", of, " and ", set_of(begin),
                                          "; put the files of one into a folder of their own"));
    of = set_of(begin);
    const bool train = begin.size() == of.size() || begin.compare(of.size(), 5, "train") == 0;
    const std::string images = concat(folder, "/", begin, rest);
    set.parts.push_back(read_part(images, find_labels(folder, begin), train ? Split::kTrain : Split::kTest));
  }
  if (set.parts.empty()) return std::nullopt;
  if (const std::string mapping = concat(folder, "/", of, "mapping.txt"); path_exists(mapping))
    take_mapping(mapping, set);
  return set;
}

}  // namespace sluice
