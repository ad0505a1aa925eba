#include "core/checkpoint/run_checkpoint.hpp"

#include <algorithm>
#include <filesystem>

#include "core/base/directory.hpp"

namespace sluice {

std::optional<std::string> checkpoint_of_run(const std::string& directory) {
  for (const char* name : {"weights.h5", "checkpoints/best.h5"}) {
    std::error_code error;
    const std::filesystem::path path = std::filesystem::path(directory) / name;
    if (std::filesystem::is_regular_file(path, error)) return path.string();
  }
  return std::nullopt;
}

std::string advice_on_directory(const std::string& directory) {
  std::optional<std::string> found = checkpoint_of_run(directory);
  std::error_code error;
  std::vector<std::string> names = names_in(directory, error);
  std::sort(names.begin(), names.end());
  for (auto name = names.begin(); !found && name != names.end(); ++name)
    found = checkpoint_of_run((std::filesystem::path(directory) / *name).string());
  return found ? ", such as " + *found : "";
}

}  // namespace sluice
