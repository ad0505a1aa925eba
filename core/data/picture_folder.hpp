// Which folder of pictures is which: classes, training and test, and the names of classes.
#pragma once

#include <string>
#include <vector>

#include "core/data/dataset.hpp"
#include "core/data/picture_list.hpp"

namespace sluice {

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
