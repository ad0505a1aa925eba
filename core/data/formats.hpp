// One function for each kind of data set: opens a split as it is stored, before padding and hold-out.
#pragma once

#include <memory>

#include "core/data/dataset.hpp"

namespace sluice {

// Split::kValidation is not asked for. All throw Error(kData).
std::unique_ptr<Dataset> open_cifar(const DataOptions& options, Split split);
std::unique_ptr<Dataset> open_idx(const DataOptions& options, Split split);
std::unique_ptr<Dataset> open_hdf5(const DataOptions& options, Split split);
std::unique_ptr<Dataset> open_folder(const DataOptions& options, Split split);
std::unique_ptr<Dataset> open_synthetic(const DataOptions& options, Split split);

/// The classes of a set. `fixed` is the number that the format prescribes and `names` come with the data set (0 and
/// empty where it has none); `class_names` and `classes` of the options go first. What is still unknown is one more
/// than the largest label.
struct Classes {
  std::int64_t count = 0;
  std::vector<std::string> names;
};
Classes resolve_classes(const DataOptions& options, std::int64_t fixed, std::vector<std::string> names,
                        const std::string& set_name, const std::vector<std::int32_t>& labels);

/// For messages about a label that is as large as the number of classes: ": ..." where all labels seem to count from 1,
/// else nothing.
std::string counted_from_one(const std::vector<std::int32_t>& labels, std::int64_t classes);

}  // namespace sluice
