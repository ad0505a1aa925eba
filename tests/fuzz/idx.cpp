// Pairs of IDX files, plain or gzipped. Input: how many 256 bytes the images have, how many more, images, labels.
#include "tests/fuzz/read_all.hpp"

namespace sluice {

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes = text_of(data + 2, size - 2);
  const std::size_t length = std::min<std::size_t>(bytes.size(), data[0] * 256U + data[1]);
  const MemoryFile images(bytes.substr(0, length)), labels(bytes.substr(length));
  DataOptions options;
  options.kind = DataKind::kIdx;
  options.dir = MemoryFile::folder();
  options.idx_test_images = images.name();
  options.idx_test_labels = labels.name();
  read_all(options);
  return 0;
}

}  // namespace sluice
