#include "core/data/picture_folder.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "core/base/digest.hpp"
#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/config/text.hpp"
#include "core/data/input_file.hpp"

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
  for (const char* name : kTestFolders) {
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
  require_class_lines(path, lines, classes.size());
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

}  // namespace

void require_class_lines(const std::string& path, const std::vector<std::string>& lines, std::size_t classes) {
  if (lines.size() != classes)
    refuse(concat(path, ": expected a line for each of the ", classes, " classes, got ", lines.size()));
}

bool has_test_pictures(const DataOptions& options) {
  if (is_folder((fs::path(options.dir) / options.folder_train).string())) return !find_test_folder(options).empty();
  return options.folder_test_share > 0;
}

PictureFolder list_picture_folder(const DataOptions& options, Split split) {
  const Place place = find_place(options, split);
  PictureFolder folder;
  folder.list = list_pictures(place.root, find_classes(place));
  folder.class_names = read_class_names(options.dir, folder.list.classes);
  if (folder.list.links > 0)
    folder.notes.push_back(concat(folder.list.root, ": ", folder.list.links, " symbolic links are passed over"));
  if (place.shared) keep_share(folder.list, options.folder_test_share, split == Split::kTest);
  return folder;
}

}  // namespace sluice
