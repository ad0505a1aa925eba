// In place of tar_file.cpp where libarchive is missing.
#include "apps/pack/tar_file.hpp"
#include "core/base/error.hpp"

namespace sluice {

struct TarFile::Archive {};

TarFile::TarFile(std::string path) : path_(std::move(path)) {
  fail("open");
}

TarFile::~TarFile() = default;

bool TarFile::next(TarEntry&) {
  fail("read");
}

void TarFile::read(const TarEntry&, std::string&) {
  fail("read");
}

void TarFile::fail(const std::string& doing) const {
  throw Error(ExitCode::kEnvironment, concat(path_, ": cannot ", doing,
                                             " as a tar file: this build of Sluice has no "
                                             "libarchive; install libarchive-dev, and build it again"));
}

}  // namespace sluice
