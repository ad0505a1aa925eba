// What the fuzzers share: inputs as files in memory, and which errors an input may lead to.
#pragma once

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace sluice {

/// What every fuzzer defines: takes one input. Always 0; whatever is wrong ends the process.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// Ends the process, so that the fuzzer keeps the input.
[[noreturn]] inline void found(const std::string& text) {
  std::fprintf(stderr, "FOUND: %s\n", text.c_str());
  ::abort();
}

/// Runs `work`, out of which only Errors with one of these codes may come, and says whether none did.
template <class Work>
bool attempt(std::initializer_list<ExitCode> codes, Work work) {
  try {
    work();
    return true;
  } catch (const Error& error) {
    for (const ExitCode code : codes) {
      if (error.code() == code) return false;
    }
    if (std::string(error.what()).find("or the file claims to hold more than it does") != std::string::npos)
      return false;
    found(concat("exit code ", static_cast<int>(error.code()), ": ", error.what()));
  }
}

/// A file in memory that has a path.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) {
    if (::write(fd_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
      found("no memory for the input");
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  static std::string folder() { return "/proc/self/fd"; }
  std::string name() const { return std::to_string(fd_); }
  std::string path() const { return folder() + "/" + name(); }

 private:
  int fd_ = ::memfd_create("input", MFD_CLOEXEC);
};

/// A folder in memory where that is possible, the same for all inputs; the working directory from now on, so that
/// nothing else is near.
inline const std::string& scratch_folder() {
  static const std::string folder = [] {
    std::string name =
        std::filesystem::is_directory("/dev/shm") ? "/dev/shm/sluice-fuzz-XXXXXX" : "/tmp/sluice-fuzz-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr || ::chdir(name.c_str()) != 0) found("no scratch folder");
    static const std::string remembered = name;
    ::atexit([] { std::filesystem::remove_all(remembered); });
    return name;
  }();
  return folder;
}

inline void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// Inputs of several files: what stands before the first `separator`, which is taken away; all where there is none.
inline std::string_view take_until(std::string_view& rest, char separator) {
  const std::size_t end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return part;
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace sluice
