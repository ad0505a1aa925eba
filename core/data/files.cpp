// Which files belong to a data set, without opening it.
#include <algorithm>
#include <filesystem>

#include "core/data/dataset.hpp"

namespace sluice {

namespace fs = std::filesystem;

namespace {

bool lies_in(const std::string& path, const std::string& folder) {
  std::error_code problem;
  const fs::path file = fs::canonical(path, problem), top = fs::canonical(folder, problem);
  if (problem) return false;
  const auto [rest, of_file] = std::mismatch(top.begin(), top.end(), file.begin(), file.end());
  return rest == top.end() && of_file != file.end();
}

}  // namespace

bool may_be_read(const DataOptions& options, const std::string& path) {
  if (options.kind == DataKind::kSynthetic) return false;
  if (options.kind != DataKind::kHdf5) return lies_in(path, options.dir);
  std::error_code ignored;
  for (const std::string& name : {options.hdf5_train, options.hdf5_test}) {
    if (fs::equivalent(path, fs::path(options.dir) / name, ignored)) return true;
  }
  return false;
}

}  // namespace sluice
