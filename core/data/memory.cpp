#include "core/data/memory.hpp"

#include <cassert>
#include <cstring>

namespace sluice {

namespace {

std::shared_ptr<const std::uint8_t> kept(std::vector<std::uint8_t> images) {
  const auto owner = std::make_shared<const std::vector<std::uint8_t>>(std::move(images));
  return {owner, owner->data()};
}

}  // namespace

MemoryDataset::MemoryDataset(DatasetInfo info, std::vector<std::uint8_t> images, std::vector<std::int32_t> labels)
    : MemoryDataset(std::move(info), kept(std::move(images)), std::move(labels)) {}

MemoryDataset::MemoryDataset(DatasetInfo info, std::shared_ptr<const std::uint8_t> images,
                             std::vector<std::int32_t> labels)
    : Dataset(std::move(info)), images_(std::move(images)), labels_(std::move(labels)) {
  assert(static_cast<std::int64_t>(labels_.size()) == size());
}

void MemoryDataset::read(const std::int64_t* indices, std::int64_t count, std::uint8_t* images,
                         std::int32_t* labels) const {
  const std::int64_t bytes = shape().count();
  for (std::int64_t i = 0; i < count; ++i) {
    std::memcpy(images + i * bytes, images_.get() + indices[i] * bytes, static_cast<std::size_t>(bytes));
    labels[i] = labels_[static_cast<std::size_t>(indices[i])];
  }
}

void MemoryDataset::read_labels(const std::int64_t* indices, std::int64_t count, std::int32_t* labels) const {
  for (std::int64_t i = 0; i < count; ++i) labels[i] = labels_[static_cast<std::size_t>(indices[i])];
}

}  // namespace sluice
