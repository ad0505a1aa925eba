// Tar files of pictures, as sources: they are read twice, for what there is and for the pictures.
#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "apps/pack/source.hpp"
#include "apps/pack/tar_file.hpp"
#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/base/signals.hpp"
#include "core/config/text.hpp"
#include "core/data/input_file.hpp"
#include "core/data/picture_folder.hpp"
#include "core/data/picture_list.hpp"

namespace sluice {

namespace {

constexpr std::int64_t kMostClasses = 1 << 24;
constexpr std::int32_t kNone = -1;

/// A picture that was found on the first way through the files.
struct Found {
  std::size_t tar = 0;
  std::string path;
  Split split = Split::kTrain;
  std::string class_name;
  std::int32_t label = kNone;
};

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (end > begin) parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

bool is_hidden_path(const std::vector<std::string>& parts) {
  return std::any_of(parts.begin(), parts.end(), [](const std::string& part) { return part[0] == '.'; });
}

bool is_picture(const std::string& path) {
  return is_picture_name(path) && !is_hidden_path(parts_of(path));
}

/// What WebDataset calls the key: all up to the first dot of the name.
std::string key_of(const std::string& path) {
  const std::size_t slash = path.rfind('/'), begin = slash == std::string::npos ? 0 : slash + 1;
  return path.substr(0, path.find('.', begin));
}

bool is_label(const std::string& path) {
  return ends_with(path, ".cls");
}

std::optional<Split> split_named(const std::string& folder) {
  if (folder == "train") return Split::kTrain;
  for (const char* name : kTestFolders)
    if (folder == name) return Split::kTest;
  return std::nullopt;
}

std::int32_t parse_label(const std::string& where, std::string text) {
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  std::int64_t label = -1;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), label);
  if (problem != std::errc() || end != text.data() + text.size() || label < 0 || label >= kMostClasses)
    throw Error(ExitCode::kData,
                concat(where, ": expected a label of 0 to ", kMostClasses - 1, ", got ", quoted(one_line(text))));
  return static_cast<std::int32_t>(label);
}

/// Pictures and labels of the files, in their order.
class Scan {
 public:
  Scan(const std::vector<std::string>& tars, std::size_t training) : tars_(tars), training_(training) {
    for (std::size_t t = 0; t < tars.size(); ++t) scan(t);
    if (labelled) keep_labelled();
  }

  std::vector<Found> found;
  bool labelled = false;  ///< WebDataset's pairs

 private:
  void scan(std::size_t t) {
    constexpr std::int64_t kMostLabelBytes = 64;
    TarFile file(tars_[t]);
    TarEntry entry;
    std::string bytes;
    std::map<std::string, std::int32_t> labels;
    const std::size_t first = found.size();
    while (file.next(entry)) {
      throw_if_stopped();
      if (is_label(entry.path)) {
        const std::string where = concat(tars_[t], ": ", one_line(entry.path));
        if (entry.size > kMostLabelBytes)
          throw Error(ExitCode::kData, concat(where, ": expected a label, got ", entry.size, " bytes"));
        file.read(entry, bytes);
        labels[key_of(entry.path)] = parse_label(where, bytes);
      } else if (is_picture(entry.path)) {
        found.push_back({t, entry.path, t < training_ ? Split::kTrain : Split::kTest, {}, kNone});
      }
    }
    labelled = labelled || !labels.empty();
    for (std::size_t i = first; i < found.size(); ++i) {
      const auto label = labels.find(key_of(found[i].path));
      if (label != labels.end()) found[i].label = label->second;
    }
  }

  /// Of KEY.jpg and KEY.mask.png the latter is not what the label is for.
  void keep_labelled() {
    const auto is_other = [](const Found& each) {
      return each.path.find('.', key_of(each.path).size() + 1) != std::string::npos;
    };
    found.erase(std::remove_if(found.begin(), found.end(), is_other), found.end());
    for (const Found& each : found) {
      if (each.label == kNone)
        throw Error(ExitCode::kData, concat(tars_[each.tar], ": ", one_line(each.path), ": has no label, expected ",
                                            one_line(key_of(each.path)), ".cls"));
    }
  }

  const std::vector<std::string>& tars_;
  const std::size_t training_;
};

/// Finds class and, where the folders above the classes say so, split of pictures: by their folders below those that
/// all of them have in common.
class Folders {
 public:
  Folders(std::vector<Found>::iterator begin, std::vector<Found>::iterator end, bool splits_by_folder)
      : begin_(begin), end_(end) {
    for (auto found = begin; found != end; ++found) parts_.push_back(parts_of(found->path));
    while (same_folder()) ++first_;
    by_split_ = splits_by_folder && std::all_of(parts_.begin(), parts_.end(), [this](const auto& parts) {
                  return parts.size() > first_ + 2 && split_named(parts[first_]).has_value();
                });
  }

  /// A picture in no folder keeps an empty class name.
  void assign() const {
    const std::size_t at = first_ + (by_split_ ? 1 : 0);
    auto parts = parts_.begin();
    for (auto found = begin_; found != end_; ++found, ++parts) {
      if (by_split_) found->split = *split_named((*parts)[first_]);
      if (parts->size() > at + 1) found->class_name = (*parts)[at];
    }
  }

 private:
  bool same_folder() const {
    return !parts_.empty() && std::all_of(parts_.begin(), parts_.end(), [this](const auto& parts) {
      return parts.size() > first_ + 2 && parts[first_] == parts_[0][first_];
    });
  }

  const std::vector<Found>::iterator begin_, end_;
  std::vector<std::vector<std::string>> parts_;
  std::size_t first_ = 0;
  bool by_split_ = false;
};

class TarSource : public PictureSource {
 public:
  TarSource(const std::vector<std::string>& train, const std::vector<std::string>& test, const SourceOptions& options)
      : tars_(train), max_pixels_(options.max_pixels) {
    tars_.insert(tars_.end(), test.begin(), test.end());
    Scan scan(tars_, train.size());
    if (scan.found.empty()) throw Error(ExitCode::kData, concat(tars_[0], ": has no pictures"));
    found_ = std::move(scan.found);
    if (!options.class_names.empty()) names_ = read_lines(options.class_names);
    if (scan.labelled)
      check_labels(options);
    else
      take_classes(test.empty(), options);
  }

  const std::vector<std::string>& class_names() const override { return names_; }
  const std::vector<std::string>& warnings() const override { return warnings_; }
  std::int64_t size() const override { return static_cast<std::int64_t>(found_.size()); }

  SourcePicture next(bool wanted) override {
    constexpr std::int64_t kMostBytesOfPixel = 4, kSmall = 1 << 20;
    const Found& found = found_[at_++];
    if (file_ == nullptr || found.tar != tar_) {
      file_ = std::make_unique<TarFile>(tars_[found.tar]);
      tar_ = found.tar;
    }
    TarEntry entry;
    do {
      if (!file_->next(entry)) throw Error(ExitCode::kData, concat(tars_[tar_], ": was changed while it was read"));
    } while (entry.path != found.path);
    SourcePicture picture{found.path, found.split, found.label, {}, {}};
    if (entry.size > kSmall + kMostBytesOfPixel * max_pixels_)
      picture.problem = concat("its ", entry.size, " bytes are more than a picture of ", max_pixels_, " pixels needs");
    else if (wanted)
      file_->read(entry, picture.bytes);
    return picture;
  }

 private:
  void check_labels(const SourceOptions& options) const {
    for (const Found& found : found_) {
      if (names_.empty() || found.label < static_cast<std::int32_t>(names_.size())) continue;
      throw Error(ExitCode::kData,
                  concat(tars_[found.tar], ": ", one_line(found.path), ": has the label ", found.label,
                         ", expected one below ", names_.size(), ", the classes of ", options.class_names));
    }
  }

  void take_classes(bool splits_by_folder, const SourceOptions& options) {
    const auto test =
        std::find_if(found_.begin(), found_.end(), [](const Found& found) { return found.split == Split::kTest; });
    Folders(found_.begin(), test, splits_by_folder).assign();
    Folders(test, found_.end(), false).assign();
    std::vector<std::string> classes;
    for (const Found& found : found_) {
      if (found.class_name.empty())
        throw Error(ExitCode::kData, concat(tars_[found.tar], ": ", one_line(found.path),
                                            ": lies in no folder of a class, and has no label NAME.cls"));
      if (found.split == Split::kTrain) classes.push_back(found.class_name);
    }
    std::sort(classes.begin(), classes.end());
    classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
    for (Found& found : found_) {
      const auto at = std::lower_bound(classes.begin(), classes.end(), found.class_name);
      if (at == classes.end() || *at != found.class_name)
        throw Error(ExitCode::kData, concat(tars_[found.tar], ": the class ", sluice::quoted(found.class_name),
                                            " of the test set has no training pictures",
                                            suggestion(found.class_name, classes, "those that have")));
      found.label = static_cast<std::int32_t>(at - classes.begin());
    }
    if (classes.size() < 2)
      throw Error(ExitCode::kData,
                  concat(tars_[0], ": expected folders of at least two classes, got ", classes.size()));
    if (names_.empty()) names_ = classes;
    require_class_lines(options.class_names, names_, classes.size());
  }

  std::vector<std::string> tars_;
  std::int64_t max_pixels_;
  std::vector<Found> found_;
  std::vector<std::string> names_, warnings_;
  std::unique_ptr<TarFile> file_;
  std::size_t tar_ = 0, at_ = 0;
};

}  // namespace

std::unique_ptr<PictureSource> open_tar_source(const std::vector<std::string>& train,
                                               const std::vector<std::string>& test, const SourceOptions& options) {
  return std::make_unique<TarSource>(train, test, options);
}

}  // namespace sluice
