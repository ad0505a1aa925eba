// sluice-reader: reads HDF5 files for programs that must survive them. The library starts it; users do not.
#include <hdf5.h>

#include "core/base/error.hpp"
#include "core/reader/all_services.hpp"

#ifdef __SANITIZE_ADDRESS__
// A crash of libhdf5 ends the process by its signal here as well, so that the program can tell it.
extern "C" const char* __asan_default_options() {
  return "handle_segv=0:handle_sigbus=0:handle_sigfpe=0";
}
#endif

int main() {
  if (H5open() < 0) return static_cast<int>(sluice::ExitCode::kEnvironment);
  return sluice::serve_reader(sluice::all_reader_services());
}
