// Pictures in folders: DIR/train/CLASS/... and DIR/val/CLASS/..., or DIR/CLASS/... with a share for the test.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/config/text.hpp"
#include "core/data/formats.hpp"
#include "core/data/input_file.hpp"
#include "core/data/picture_list.hpp"
#include "core/data/transformed.hpp"

namespace sluice {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void refuse(const std::string& text) {
  throw Error(ExitCode::kData, text);
}

/// Where the pictures of a split are.
struct Place {
  std::string root;
  std::string classes_root;  ///< the folder whose classes count: that of the training pictures
  bool shared = false;       ///< the classes of both splits lie in one folder
};

std::string find_test_folder(const DataOptions& options) {
  if (!options.folder_test.empty()) return options.folder_test;
  for (const char* name : {"val", "valid", "validation", "test"}) {
    if (is_folder((fs::path(options.dir) / name).string())) return name;
  }
  return "";
}

Place find_place(const DataOptions& options, Split split) {
  const fs::path dir(options.dir);
  if (!is_folder(options.dir))
    refuse(concat(options.dir, ": expected a folder of pictures, got ", path_exists(options.dir) ? "a file" : "nothing",
                  "; set [data] dir"));
  const std::string train = (dir / options.folder_train).string(), test = find_test_folder(options);
  if (!is_folder(train)) {
    if (!test.empty())
      refuse(concat(options.dir, ": has the folder ", test, ", but not ", options.folder_train,
                    " with the training pictures; set [data] folder_train"));
    return {options.dir, options.dir, true};
  }
  if (split != Split::kTest) return {train, train, false};
  if (test.empty())
    refuse(concat(options.dir,
                  ": no folder of test pictures, expected val, valid, validation or test; set [data] folder_test, or "
                  "hold training pictures out by validation"));
  const std::string root = (dir / test).string();
  if (!is_folder(root))
    refuse(concat(root, ": expected a folder of test pictures, got nothing; set [data] folder_test"));
  return {root, train, false};
}

/// The classes of the training pictures; the test may have no others.
std::vector<std::string> find_classes(const Place& place) {
  std::vector<std::string> classes = class_folders(place.classes_root);
  if (classes.empty())
    refuse(concat(place.classes_root, ": has no folders, expected one for each class, with its pictures"));
  if (classes.size() == 1)
    refuse(concat(place.classes_root, ": expected a folder for each of at least two classes, got only ",
                  sluice::quoted(classes[0])));
  std::map<std::string, std::string> known;
  for (const std::string& name : classes) {
    std::string lower = name;
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const auto [other, fresh] = known.emplace(lower, name);
    if (!fresh)
      refuse(concat(place.classes_root, ": the classes ", sluice::quoted(other->second), " and ", sluice::quoted(name),
                    " differ by case alone; put their pictures together, or rename one"));
  }
  if (place.root == place.classes_root) return classes;
  for (const std::string& name : class_folders(place.root)) {
    if (!std::binary_search(classes.begin(), classes.end(), name))
      refuse(concat(place.root, ": the class ", sluice::quoted(name), " is not in ", place.classes_root,
                    suggestion(name, classes, "its classes")));
  }
  return classes;
}

/// Names to show: from classes.txt, whose lines are "FOLDER NAME", or one name for each folder in order.
std::vector<std::string> read_class_names(const std::string& dir, const std::vector<std::string>& classes) {
  const std::string path = (fs::path(dir) / "classes.txt").string();
  if (!path_exists(path)) return classes;
  const std::vector<std::string> lines = read_lines(path);
  if (lines.size() != classes.size())
    refuse(concat(path, ": expected a line for each of the ", classes.size(), " classes, got ", lines.size()));
  std::vector<std::string> names(classes.size());
  std::size_t known = 0;
  for (const std::string& line : lines) {
    const std::size_t space = line.find_first_of(" \t");
    const auto at = std::lower_bound(classes.begin(), classes.end(), line.substr(0, space));
    if (at == classes.end() || *at != line.substr(0, space)) continue;
    std::string& name = names[static_cast<std::size_t>(at - classes.begin())];
    if (!name.empty()) refuse(concat(path, ": names ", sluice::quoted(*at), " twice"));
    name = space == std::string::npos ? *at : trim(line.substr(space));
    ++known;
  }
  if (known == 0) return lines;
  if (known < lines.size())
    refuse(concat(path, ": ", lines.size() - known, " of its lines do not begin with the name of a class's folder"));
  return names;
}

/// Keeps the share of each class that is the test set, or the rest: chosen by digests of the files' names, so that it
/// stays nearly the same when pictures are added.
void keep_share(PictureList& list, double share, bool test) {
  std::vector<bool> kept(list.files.size(), !test);
  for (std::size_t begin = 0; begin < list.files.size();) {
    std::size_t end = begin;
    std::vector<std::pair<std::string, std::size_t>> ranked;
    for (; end < list.files.size() && list.labels[end] == list.labels[begin]; ++end) {
      const std::string& name = list.files[end];
      ranked.emplace_back(digest_hex(name.data(), static_cast<std::int64_t>(name.size())), end);
    }
    std::sort(ranked.begin(), ranked.end());
    const auto count = static_cast<std::size_t>(std::nearbyint(share * static_cast<double>(ranked.size())));
    for (std::size_t i = 0; i < count; ++i) kept[ranked[i].second] = test;
    begin = end;
  }
  list.keep(kept);
}

/// Refuses pictures that cannot be read, or leaves them out with a note for each.
void remove_bad(PictureList& list, PictureCheck& check, bool skip, std::vector<std::string>& notes) {
  constexpr std::size_t kMostNotes = 20;
  if (check.bad.empty()) return;
  const auto name = [&](const PictureCheck::Bad& bad) {
    return concat(list.root, "/", one_line(list.files[static_cast<std::size_t>(bad.index)]), ": ", bad.reason);
  };
  const std::size_t all = list.files.size();
  if (!skip)
    refuse(concat(name(check.bad[0]), "; ", check.bad.size(), " of the ", all, " pictures of ", list.root,
                  " cannot be read; mend or remove them, or leave them out by [data] on_bad_image = skip"));
  std::vector<bool> kept(all, true);
  for (const PictureCheck::Bad& bad : check.bad) kept[static_cast<std::size_t>(bad.index)] = false;
  for (std::size_t i = 0; i < std::min(check.bad.size(), kMostNotes); ++i)
    notes.push_back(concat(name(check.bad[i]), "; it is left out"));
  notes.push_back(concat(list.root, ": ", check.bad.size(), " of ", all, " pictures are left out"));
  list.keep(kept);
  std::size_t to = 0;
  for (std::size_t i = 0; i < all; ++i) {
    if (kept[i]) check.sizes[to++] = check.sizes[i];
  }
  check.sizes.resize(to);
}

void require_all_classes(const PictureList& list) {
  std::vector<bool> seen(list.classes.size());
  for (const std::int32_t label : list.labels) seen[static_cast<std::size_t>(label)] = true;
  const auto missing = std::find(seen.begin(), seen.end(), false) - seen.begin();
  if (missing < static_cast<std::int64_t>(seen.size()))
    refuse(concat(list.root, "/", one_line(list.classes[static_cast<std::size_t>(missing)]),
                  ": has no pictures (files that end in .jpg, .jpeg, .png, .webp, .bmp, .ppm or .pgm)"));
}

class FolderPictures : public PictureStore {
 public:
  FolderPictures(PictureList list, const DecodeOptions& decode) : list_(std::move(list)), decode_(decode) {}

  std::int32_t label(std::int64_t index) const override { return list_.labels[static_cast<std::size_t>(index)]; }
  std::string name(std::int64_t index) const override { return list_.files[static_cast<std::size_t>(index)]; }
  void load(std::int64_t index, bool training, const ChooseWindow& choose, PictureScratch& scratch) const override {
    const std::string path = list_.root + "/" + list_.files[static_cast<std::size_t>(index)];
    DecodeOptions options = decode_;
    options.fast = options.fast && training;
    try {
      read_picture_file(path, options.max_pixels, scratch.bytes);
      decode_picture(scratch.bytes, options, choose, scratch.decode, scratch.picture);
    } catch (const Error& error) {
      throw Error(error.code(), concat(one_line(path), ": ", error.what()));
    }
  }

  /// Names and sizes of all files, and the beginning and the end of some.
  void digest(std::int64_t images, Digest& digest) const override {
    constexpr std::int64_t kMostRead = 256, kPart = 4096;
    for (std::int64_t i = 0; i < images; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const std::string text = concat(list_.files[at], '\n', list_.bytes[at], '\n');
      digest.update(text.data(), static_cast<std::int64_t>(text.size()));
    }
    std::string bytes;
    const std::int64_t read = std::min(images, kMostRead);
    for (std::int64_t i = 0; i < read; ++i) {
      const std::string path = list_.root + "/" + list_.files[static_cast<std::size_t>(i * images / read)];
      try {
        read_picture_file(path, decode_.max_pixels, bytes);
      } catch (const Error& error) {
        throw Error(error.code(), concat(one_line(path), ": ", error.what()));
      }
      const auto size = static_cast<std::int64_t>(bytes.size()), part = std::min(size, kPart);
      digest.update(bytes.data(), part);
      digest.update(bytes.data() + size - part, part);
    }
  }

 private:
  PictureList list_;
  DecodeOptions decode_;
};

std::optional<PictureSize> common_size(const std::vector<PictureSize>& sizes) {
  for (const PictureSize& size : sizes) {
    if (size != sizes[0]) return std::nullopt;
  }
  return sizes.empty() ? std::nullopt : std::optional<PictureSize>(sizes[0]);
}

}  // namespace

std::unique_ptr<Dataset> open_folder(const DataOptions& options, Split split) {
  require_picture_libraries("[data] kind");
  if (options.channels != 0 && options.channels != 1 && options.channels != 3)
    refuse(concat("[data] channels: pictures are decoded to 3 (colours) or 1 (grey), got ", options.channels));
  const Place place = find_place(options, split);
  PictureList list = list_pictures(place.root, find_classes(place));
  std::vector<std::string> notes;
  if (list.links > 0) notes.push_back(concat(list.root, ": ", list.links, " symbolic links are passed over"));
  if (place.shared) keep_share(list, options.folder_test_share, split == Split::kTest);
  PictureCheck check = check_pictures(list, options.max_pixels);
  remove_bad(list, check, options.skip_bad_images, notes);
  if (split != Split::kTest) require_all_classes(list);
  if (list.files.empty()) refuse(concat(list.root, ": has no pictures for the ", to_string(split), " set"));
  PictureTreatment treatment = make_treatment(options);
  const PictureSize size = treated_size(treatment, common_size(check.sizes), list.root);
  const std::int64_t channels = options.channels == 1 ? 1 : 3;
  Classes classes = resolve_classes(options, static_cast<std::int64_t>(list.classes.size()),
                                    read_class_names(options.dir, list.classes), list.root, list.labels);
  DatasetInfo info{list.root,
                   static_cast<std::int64_t>(list.files.size()),
                   {channels, size.height, size.width},
                   classes.count,
                   std::move(classes.names)};
  const DecodeOptions decode = {channels, options.max_pixels, options.fast_decode};
  return make_picture_dataset(std::move(info), std::make_unique<FolderPictures>(std::move(list), decode),
                              std::move(treatment), std::move(notes));
}

}  // namespace sluice
