// Folders of pictures, as sources.
#include "apps/pack/source.hpp"
#include "core/base/error.hpp"
#include "core/data/input_file.hpp"
#include "core/data/picture_folder.hpp"

namespace sluice {

namespace {

class FolderSource : public PictureSource {
 public:
  FolderSource(const std::string& folder, const SourceOptions& options) : max_pixels_(options.max_pixels) {
    DataOptions data;
    data.kind = DataKind::kFolder;
    data.dir = folder;
    data.folder_test_share = options.test_share;
    add(list_picture_folder(data, Split::kTrain));
    if (has_test_pictures(data)) add(list_picture_folder(data, Split::kTest));
    if (options.class_names.empty()) return;
    names_ = read_lines(options.class_names);
    require_class_lines(options.class_names, names_, parts_[0].list.classes.size());
  }

  const std::vector<std::string>& class_names() const override { return names_; }
  const std::vector<std::string>& warnings() const override { return warnings_; }
  std::int64_t size() const override {
    std::size_t size = 0;
    for (const PictureFolder& part : parts_) size += part.list.files.size();
    return static_cast<std::int64_t>(size);
  }

  SourcePicture next(bool wanted) override {
    while (at_ == parts_[part_].list.files.size()) ++part_, at_ = 0;
    const PictureList& list = parts_[part_].list;
    SourcePicture picture{list.files[at_], part_ == 0 ? Split::kTrain : Split::kTest, list.labels[at_], {}, {}};
    ++at_;
    if (!wanted) return picture;
    try {
      read_picture_file(list.root + "/" + picture.name, max_pixels_, picture.bytes);
    } catch (const Error& error) {
      if (error.code() != ExitCode::kData) throw;
      picture.problem = error.what();
    }
    return picture;
  }

 private:
  void add(PictureFolder part) {
    for (const std::string& note : part.notes)
      if (warnings_.empty() || warnings_.back() != note) warnings_.push_back(note);
    names_ = part.class_names;
    parts_.push_back(std::move(part));
  }

  std::vector<PictureFolder> parts_;  // training, and test where there is one
  std::vector<std::string> names_, warnings_;
  std::int64_t max_pixels_;
  std::size_t part_ = 0, at_ = 0;
};

}  // namespace

std::unique_ptr<PictureSource> open_folder_source(const std::string& folder, const SourceOptions& options) {
  return std::make_unique<FolderSource>(folder, options);
}

}  // namespace sluice
