// A file descriptor that closes itself, and how files are opened that we write to.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

/// Writes all of `bytes`; 0, or the number of the error. Where somebody made the descriptor non-blocking it waits until
/// the other side takes more, `patience_ms` at most (-1: for ever).
int write_fully(int fd, std::string_view bytes, int patience_ms = -1);

/// Every failure throws Error(kEnvironment), named after the file that the user knows.
class Descriptor {
 public:
  /// `label` stands in messages: the file the user knows, not its temporary. With O_CREAT the file is made for all whom
  /// the umask lets.
  Descriptor(const std::string& path, int flags, const std::string& label);
  explicit Descriptor(int fd, std::string label) : label_(std::move(label)), fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : label_(std::move(other.label_)), fd_(other.release()) {}
  Descriptor& operator=(Descriptor&&) = delete;

  int get() const { return fd_; }
  /// Hands the descriptor over.
  int release();

  void write_all(std::string_view bytes);
  std::string read_all();
  /// Flushes to the disk, where the file system can.
  void sync();
  /// Network file systems report a full disk here.
  void close();

 private:
  std::string label_;
  int fd_;
};

/// Opens a file of a run to append to it or to rewrite it, and makes it where there is none (O_CREAT). Symbolic links
/// are not followed and nothing but a regular file is taken: a folder may be shared with others. Throws
/// Error(kEnvironment).
int open_regular(const std::string& path, int flags);

/// Throws Error(kEnvironment) where something is in the place of a file that is not a regular one: "<path>: is a
/// symbolic link, expected a regular file or nothing; remove it, or choose another place".
void check_regular_or_absent(const std::string& path);

/// Opens what is missing of standard input, output and error: on /dev/null, the other way round, so that using them
/// fails as before, but no file that is opened later takes their place. Call it before anything else.
void occupy_standard_descriptors();

}  // namespace sluice
