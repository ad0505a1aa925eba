// HDF5 data sets: held in memory, and read by groups.
#include "tests/fuzz/read_all.hpp"

namespace sluice {

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  write_file(scratch_folder() + "/test.h5", text_of(data, size));  // HDF5 wants a real path
  DataOptions options;
  options.kind = DataKind::kHdf5;
  options.dir = scratch_folder();
  for (const std::int64_t mib : {64, 1}) {
    options.hdf5_memory_mib = mib;
    read_all(options);
  }
  return 0;
}

}  // namespace sluice
