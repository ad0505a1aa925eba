// sluice-reader: reads HDF5 files for programs that must survive them. The library starts it; users do not.
#include <hdf5.h>

#include "core/base/error.hpp"
#include "core/reader/all_services.hpp"

int main() {
  if (H5open() < 0) return static_cast<int>(sluice::ExitCode::kEnvironment);
  return sluice::serve_reader(sluice::all_reader_services());
}
