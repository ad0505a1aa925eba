// Collects versions; libraries are asked at run time, because another build of them may be loaded than the headers were
// of.
#include "core/graph/version.hpp"

#include <hdf5.h>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/graph/onednn.hpp"

namespace sluice {

std::string sluice_version() {
  return SLUICE_VERSION;
}

std::string compiler_version() {
#if defined(__clang__)
  return concat("Clang ", __clang_major__, ".", __clang_minor__, ".", __clang_patchlevel__);
#elif defined(__GNUC__)
  return concat("GCC ", __GNUC__, ".", __GNUC_MINOR__, ".", __GNUC_PATCHLEVEL__);
#else
  return "unknown";
#endif
}

std::string hdf5_version() {
  unsigned major = 0, minor = 0, patch = 0;
  H5get_libversion(&major, &minor, &patch);
  return concat(major, ".", minor, ".", patch);
}

std::string version_text(const std::string& program) {
  return concat(program, " ", sluice_version(), "\n  compiler   ", compiler_version(), "\n  oneDNN     ",
                onednn::version(), "\n  HDF5       ", hdf5_version(), "\n  processor  ", cpu_description(), "\n");
}

}  // namespace sluice
