// STL-10: 96x96 pixels in three planes, each column by column, and labels from 1.
#include "apps/pack/array_set.hpp"
#include "core/base/error.hpp"
#include "core/data/input_file.hpp"
#include "core/data/interleave.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kSide = 96, kArea = kSide * kSide, kImageBytes = 3 * kArea, kClasses = 10;

std::vector<std::uint8_t> read_all(const std::string& path, std::int64_t record) {
  InputFile file(path, "fetch STL-10 again");
  const std::int64_t size = file.size_on_disk();
  if (size == 0 || size % record != 0)
    file.fail(size, concat("expected a multiple of ", record, " bytes: the file is cut short or damaged"));
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  file.read(bytes.data(), size, size);
  return bytes;
}

ArrayPart read_part(const std::string& folder, const std::string& name, Split split) {
  const std::string images_path = concat(folder, "/", name, "_X.bin"),
                    labels_path = concat(folder, "/", name, "_y.bin");
  const std::vector<std::uint8_t> labels = read_all(labels_path, 1), images = read_all(images_path, kImageBytes);
  const auto count = static_cast<std::int64_t>(labels.size());
  if (static_cast<std::int64_t>(images.size()) != count * kImageBytes)
    throw Error(ExitCode::kData, concat(labels_path, ": expected a label for each of the ",
                                        static_cast<std::int64_t>(images.size()) / kImageBytes, " images of ",
                                        images_path, ", got ", count));
  ArrayPart part{name, split, {3, kSide, kSide}, std::vector<std::uint8_t>(images.size()), {}};
  std::vector<std::uint8_t> columns(static_cast<std::size_t>(kImageBytes));
  for (std::int64_t i = 0; i < count; ++i) {
    const int label = labels[static_cast<std::size_t>(i)];
    if (label < 1 || label > kClasses)
      throw Error(ExitCode::kData,
                  concat(labels_path, ": byte ", i, ": expected a label of 1 to ", kClasses, ", got ", label));
    part.labels.push_back(label - 1);
    interleave(images.data() + i * kImageBytes, 3, kArea, columns.data());
    transpose(columns.data(), kSide, kSide, 3, part.pixels.data() + i * kImageBytes);
  }
  return part;
}

}  // namespace

std::optional<ArraySet> read_stl10(const std::string& folder) {
  for (const std::string& candidate : {folder, folder + "/stl10_binary"}) {
    if (!path_exists(candidate + "/train_X.bin")) continue;
    ArraySet set;
    set.parts.push_back(read_part(candidate, "train", Split::kTrain));
    if (path_exists(candidate + "/test_X.bin")) set.parts.push_back(read_part(candidate, "test", Split::kTest));
    if (path_exists(candidate + "/class_names.txt")) set.class_names = read_lines(candidate + "/class_names.txt");
    return set;
  }
  return std::nullopt;
}

}  // namespace sluice
