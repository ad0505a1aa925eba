// Every flipped bit of a checkpoint is found, and every end that is cut off: asks the reader about one after another.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "core/base/error.hpp"
#include "core/checkpoint/checkpoint_read.hpp"

namespace {

using sluice::Error;
using sluice::ExitCode;

constexpr const char* kUsage =
    "usage: flip_bits CHECKPOINT.h5 [--every=K]\n"
    "Flips each K-th bit of a copy in memory (default: each), one at a time, then cuts it after each K-th byte, and\n"
    "loads it. Fails where that is not an error of the checkpoint.\n";

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A file in memory that has a path. It is read here: a reader process for each bit would take minutes.
class File {
 public:
  explicit File(const std::string& bytes) { write(bytes.data(), bytes.size(), 0); }
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }
  void write(const char* bytes, std::size_t count, std::size_t offset) {
    if (::pwrite(fd_, bytes, count, static_cast<off_t>(offset)) != static_cast<ssize_t>(count)) std::abort();
  }
  void cut(std::size_t length) {
    if (::ftruncate(fd_, static_cast<off_t>(length)) != 0) std::abort();
  }

 private:
  int fd_ = ::memfd_create("checkpoint", MFD_CLOEXEC);
};

/// Whether the reader takes the file for damaged.
bool is_refused(const File& file) {
  try {
    sluice::read_checkpoint_file(file.path(), true);
  } catch (const Error& error) {
    return error.code() == ExitCode::kCheckpoint;
  }
  return false;
}

int run(const std::string& path, std::size_t every) {
  const std::string good = read_file(path);
  File file(good);
  if (good.empty() || is_refused(file)) {
    std::cerr << "flip_bits: " << path << ": is no intact checkpoint\n";
    return 2;
  }
  std::size_t bits = 0, cuts = 0, missed = 0;
  const auto ask = [&](const std::string& what) {
    if (is_refused(file)) return;
    ++missed;
    std::cout << "NOT FOUND: " << what << "\n";
  };
  for (std::size_t bit = 0; bit < good.size() * 8; bit += every, ++bits) {
    const char flipped = static_cast<char>(good[bit / 8] ^ (1 << (bit % 8)));
    file.write(&flipped, 1, bit / 8);
    ask("bit " + std::to_string(bit % 8) + " of byte " + std::to_string(bit / 8));
    file.write(&good[bit / 8], 1, bit / 8);
  }
  for (std::size_t length = 0; length < good.size(); length += every, ++cuts) {
    file.cut(length);
    ask("cut after " + std::to_string(length) + " bytes");
    file.write(good.data() + length, good.size() - length, length);
  }
  if (is_refused(file)) std::abort();  // nothing of the above may last
  std::cout << bits << " flipped bits and " << cuts << " cuts of " << good.size() << " bytes, " << missed
            << " not found\n";
  return missed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::string path;
  std::size_t every = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--help") == 0) {
      std::cout << kUsage;
      return 0;
    }
    if (std::strncmp(argv[i], "--every=", 8) == 0) {
      every = std::stoul(argv[i] + 8);
    } else {
      path = argv[i];
    }
  }
  if (path.empty() || every == 0) {
    std::cerr << kUsage;
    return 2;
  }
  return run(path, every);
}
