// Which folder of pictures is which: classes, training and test, and the names of classes.
#pragma once

#include <string>
#include <vector>

#include "core/data/dataset.hpp"
#include "core/data/picture_list.hpp"

namespace sluice {

/// What the folder of the test pictures may be called, the first that is there.
constexpr const char* kTestFolders[] = {"val", "valid", "validation", "test"};

/// Throws Error(kData) unless `path`, whose lines these are, has one for each class.
void require_class_lines(const std::string& path, const std::vector<std::string>& lines, std::size_t classes);

/// The pictures of one split, none of them looked at.
struct PictureFolder {
  PictureList list;
  std::vector<std::string> class_names;  ///< to show: of classes.txt, or of the folders
  std::vector<std::string> notes;        ///< warnings
};

/// What kind = folder describes by dir, folder_train, folder_test and folder_test_share. Throws Error(kData).
PictureFolder list_picture_folder(const DataOptions& options, Split split);
/// Whether there are pictures for a test set; where dir holds the classes itself that is a matter of the share.
bool has_test_pictures(const DataOptions& options);

}  // namespace sluice
