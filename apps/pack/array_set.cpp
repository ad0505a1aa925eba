// Data sets that come as arrays of pixels, as sources of pictures.
#include "apps/pack/array_set.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/data/input_file.hpp"

namespace sluice {
namespace {

class ArraySource : public PictureSource {
 public:
  explicit ArraySource(ArraySet set) : set_(std::move(set)) {}

  const std::vector<std::string>& class_names() const override { return set_.class_names; }
  const std::vector<std::string>& warnings() const override { return warnings_; }
  std::int64_t size() const override {
    std::size_t size = 0;
    for (const ArrayPart& part : set_.parts) size += part.labels.size();
    return static_cast<std::int64_t>(size);
  }

  std::optional<ImageShape> pixels() const override { return set_.parts[0].shape; }

  SourcePicture next(bool wanted) override {
    while (at_ == set_.parts[part_].labels.size()) ++part_, at_ = 0;
    const ArrayPart& part = set_.parts[part_];
    SourcePicture picture{concat(part.name, "/", at_), part.split, part.labels[at_], {}, {}};
    if (wanted) {
      const auto each = static_cast<std::size_t>(part.shape.count());
      picture.bytes =
          concat(part.shape.channels == 1 ? "P5 " : "P6 ", part.shape.width, " ", part.shape.height, " 255\n");
      picture.bytes.append(reinterpret_cast<const char*>(part.pixels.data()) + at_ * each, each);
    }
    ++at_;
    return picture;
  }

 private:
  ArraySet set_;
  std::vector<std::string> warnings_;
  std::size_t part_ = 0, at_ = 0;
};

void check(const std::string& path, const ArraySet& set) {
  for (const ArrayPart& part : set.parts) {
    if (part.shape != set.parts[0].shape)
      throw Error(ExitCode::kData, concat(path, ": the images of ", part.name, " are ", to_string(part.shape),
                                          ", those of ", set.parts[0].name, " ", to_string(set.parts[0].shape)));
    if (part.labels.empty()) throw Error(ExitCode::kData, concat(path, ": ", part.name, " has no images"));
    const auto [least, most] = std::minmax_element(part.labels.begin(), part.labels.end());
    if (*least < 0 || (!set.class_names.empty() && *most >= static_cast<std::int32_t>(set.class_names.size())))
      throw Error(ExitCode::kData, concat(path, ": the labels of ", part.name, " are ", *least, " to ", *most, " for ",
                                          set.class_names.size(), " names of classes"));
  }
}

std::optional<ArraySet> read_array_set(const std::string& path, const std::string& class_names) {
  using Read = std::optional<ArraySet> (*)(const std::string&);
  std::vector<Read> readers = {read_npz, read_svhn};
  if (is_folder(path)) readers = {read_cifar_python, read_stl10, read_svhn, read_idx_folder, read_npz};
  for (const Read read : readers) {
    std::optional<ArraySet> set = read(path);
    if (!set) continue;
    if (!class_names.empty()) set->class_names = read_lines(class_names);
    check(path, *set);
    std::stable_sort(set->parts.begin(), set->parts.end(), [](const ArrayPart& a, const ArrayPart& b) {
      return a.split == Split::kTrain && b.split != Split::kTrain;
    });
    return set;
  }
  return std::nullopt;
}

}  // namespace

std::unique_ptr<PictureSource> open_array_source(const std::string& path, const SourceOptions& options) {
  std::optional<ArraySet> set = read_array_set(path, options.class_names);
  return set ? std::make_unique<ArraySource>(std::move(*set)) : nullptr;
}

void transpose(const std::uint8_t* from, std::int64_t height, std::int64_t width, std::int64_t each, std::uint8_t* to) {
  for (std::int64_t x = 0; x < width; ++x) {
    for (std::int64_t y = 0; y < height; ++y) {
      std::copy_n(from + (y * width + x) * each, each, to);
      to += each;
    }
  }
}

}  // namespace sluice
