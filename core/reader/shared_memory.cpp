#include "core/reader/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.hpp"

namespace sluice {
namespace {

[[noreturn]] void fail(const char* action, int problem) {
  throw Error(ExitCode::kEnvironment, concat("memory for images: cannot ", action, ": ", std::strerror(problem),
                                             "; free some memory, or lower [data] hdf5_memory_mib"));
}

}  // namespace

SharedMemory::SharedMemory() : descriptor_(::memfd_create("sluice-images", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
  if (descriptor_ < 0) fail("make it", errno);
}

SharedMemory::~SharedMemory() {
  ::close(descriptor_);
}

void SharedMemory::resize(std::int64_t bytes) {
  rlimit largest{};
  // Beyond this limit on files the system would send a signal.
  if (::getrlimit(RLIMIT_FSIZE, &largest) == 0 && largest.rlim_cur != RLIM_INFINITY &&
      largest.rlim_cur < static_cast<rlim_t>(bytes))
    throw Error(ExitCode::kEnvironment, concat("memory for images: the limit on the size of files, ", largest.rlim_cur,
                                               " bytes, forbids ", bytes, "; raise it with ulimit -f"));
  if (::ftruncate(descriptor_, bytes) != 0) fail("enlarge it", errno);
  // A reader that has gone wrong cannot take it away under those who look at it.
  if (::fcntl(descriptor_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) fail("fix its size", errno);
  data_ = map(descriptor_, bytes);
}

void SharedMemory::reserve(std::int64_t first, std::int64_t bytes) const {
  ::fallocate(descriptor_, 0, first, bytes);
}

std::shared_ptr<std::uint8_t> SharedMemory::map(int descriptor, std::int64_t bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (memory == MAP_FAILED) fail("map it", errno);
  return {static_cast<std::uint8_t*>(memory), [size](std::uint8_t* at) { ::munmap(at, size); }};
}

}  // namespace sluice
