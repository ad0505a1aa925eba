// A data set whose images lie in memory.
#pragma once

#include <vector>

#include "core/data/dataset.hpp"

namespace sluice {

class MemoryDataset : public Dataset {
 public:
  /// images: size x height x width x channels; labels: size.
  MemoryDataset(DatasetInfo info, std::vector<std::uint8_t> images, std::vector<std::int32_t> labels);
  /// The same for images that lie anywhere.
  MemoryDataset(DatasetInfo info, std::shared_ptr<const std::uint8_t> images, std::vector<std::int32_t> labels);
  void read(const std::int64_t* indices, std::int64_t count, std::uint8_t* images, std::int32_t* labels) const override;
  void read_labels(const std::int64_t* indices, std::int64_t count, std::int32_t* labels) const override;

 private:
  std::shared_ptr<const std::uint8_t> images_;
  std::vector<std::int32_t> labels_;
};

}  // namespace sluice
