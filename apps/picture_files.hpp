// The pictures that a command line names, by files and folders, and where their decision maps go.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "apps/decisions.hpp"
#include "core/picture/picture.hpp"

namespace sluice {

struct PictureFile {
  std::string name;   ///< as people know it: the file, or the folder with what lies below it
  std::string path;   ///< the same, but for a link that was named: what it leads to
  std::string inner;  ///< without the folder that was named
};
/// The pictures in and below folders, and files whatever they are, in the order of the command line. Links in folders
/// are passed over, with a warning on standard error. Throws Error(kData) for a folder without pictures.
std::vector<PictureFile> find_pictures(const std::vector<std::string>& files_and_folders);

/// A folder of PNG files: NAME/picture.png of a picture as its network takes it, and NAME/01-LAYER.png, ... of its
/// layers, a pixel for each of the layer's, white where all gates are open.
class MapFolder {
 public:
  /// Makes it where there is none. `inputs` must not lie in it; an older map is replaced, other files with `force`.
  /// Throws Error(kUsage) and Error(kEnvironment).
  MapFolder(std::string directory, const std::vector<std::string>& inputs, bool force);
  const std::string& directory() const { return directory_; }
  void write(const PictureFile& file, const Picture& picture, const std::vector<DecisionMap>& maps);

 private:
  void write_file(const std::string& path, const Picture& picture, const std::string& description) const;

  std::string directory_;
  bool force_;
  std::set<std::string> taken_;
};

}  // namespace sluice
