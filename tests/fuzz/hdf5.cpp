// HDF5 data sets: held in memory, and read by groups.
#include "tests/fuzz/read_all.hpp"

namespace sluice {

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemoryFile file(text_of(data, size));
  DataOptions options;
  options.kind = DataKind::kHdf5;
  options.dir = MemoryFile::folder();
  options.hdf5_test = file.name();
  for (const std::int64_t mib : {64, 1}) {
    options.hdf5_memory_mib = mib;
    read_all(options);
  }
  return 0;
}

}  // namespace sluice
