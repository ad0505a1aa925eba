// Opens a set as programs do and reads all of it.
#pragma once

#include <algorithm>
#include <vector>

#include "core/data/dataset.hpp"
#include "tests/fuzz/harness.hpp"

namespace sluice {

/// The test set of these options, if it can be opened; only errors of the data may come out.
inline void read_all(const DataOptions& options) {
  attempt({ExitCode::kData}, [&] {
    const auto set = open_dataset(options, Split::kTest);
    const std::int64_t most = std::max<std::int64_t>(1, (1 << 20) / set->shape().count());
    const std::int64_t count = std::min<std::int64_t>({set->size(), most, 4096});
    std::vector<std::uint8_t> images(static_cast<std::size_t>(count * set->shape().count()));
    std::vector<std::int32_t> labels(static_cast<std::size_t>(count));
    std::vector<std::int64_t> indices;
    for (std::int64_t i = 0; i < count; ++i) indices.push_back(set->size() - 1 - i);
    set->read(indices.data(), count, images.data(), labels.data());
    for (const std::int32_t label : labels) {
      if (label < 0 || label >= set->num_classes()) found(concat("label ", label, " of ", set->num_classes()));
    }
    static_cast<void>(set->class_name(0));
  });
}

}  // namespace sluice
