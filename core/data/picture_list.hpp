// The pictures in a folder of classes: which there are, and which of them cannot be read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/picture/picture.hpp"

namespace sluice {

/// Pictures in the order of their labels, then of the folders and files in a class, by bytes, as torchvision's
/// ImageFolder sorts them.
struct PictureList {
  std::string root;                  ///< the folder that holds one for each class
  std::vector<std::string> classes;  ///< their names
  std::vector<std::string> files;    ///< below the root
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> bytes;     ///< sizes of the files
  std::int64_t links = 0, others = 0;  ///< what was passed over: symbolic links, and files that are no pictures by name

  void keep(const std::vector<bool>& kept);
};

/// The names of the folders in `root` that may be classes: sorted, without hidden ones and symbolic links. Throws
/// Error(kData) where it cannot be listed.
std::vector<std::string> class_folders(const std::string& root);

/// Whether a file's name ends as those of pictures do, of a form that is read or not.
bool is_picture_name(const std::string& name);

/// Lists the pictures of these classes; of one whose folder is not there none. Throws Error(kData) where a folder
/// cannot be listed.
PictureList list_pictures(const std::string& root, std::vector<std::string> classes);

/// Lists all pictures in and below a folder, those of a folder before those of the folders in it, with labels of -1.
PictureList list_pictures(const std::string& root);

/// What looking at the beginning and the end of every file has shown.
struct PictureCheck {
  struct Bad {
    std::int64_t index;
    std::string reason;  ///< without the file's name
  };
  std::vector<Bad> bad;            ///< in order
  std::vector<PictureSize> sizes;  ///< of each picture; of a bad one 0x0
};
/// Uses all processors; throws Error(kStopped) where a stop signal came.
PictureCheck check_pictures(const PictureList& list, std::int64_t max_pixels);

/// All bytes of a picture's file. Throws Error(kData) with the reason alone where it is no regular file, cannot be
/// read, or is larger than pictures of so many pixels are.
void read_picture_file(const std::string& path, std::int64_t max_pixels, std::string& bytes);

}  // namespace sluice
