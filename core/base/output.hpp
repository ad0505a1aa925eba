// Files that a user tells a program to write: checked before the work, written after it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// What may be replaced. A file that is there already must be an earlier output of the same program, or `force` is set.
struct OutputRules {
  std::string program;                                ///< for messages: "sluice-import"
  std::function<bool(const std::string& path)> ours;  ///< the program wrote this regular file
  bool force = false;
};

/// Whether a file begins with these bytes; false where it cannot be read.
bool begins_with(const std::string& path, std::string_view bytes);

/// Standard output ("-", /dev/stdout) and other open descriptors (/dev/fd/N) are written directly, as are FIFOs and
/// character devices. Everything else is a regular file, replaced as a whole (write_file_atomic); links are not
/// followed. An input of the same call is never written over.
class Output {
 public:
  /// Throws Error(kUsage) where something else stands in the place, Error(kEnvironment) where it cannot be written.
  Output(std::string path, const OutputRules& rules);

  const std::string& path() const { return path_; }
  /// What the program says besides belongs on standard error then.
  bool is_standard_output() const { return number_ == 1; }
  /// A regular file or nothing stands there: written as a whole by write_file_atomic.
  bool is_file() const { return way_ == Way::kReplace; }
  /// Writing would replace a file that is none of ours.
  bool replaces_foreign() const { return replaces_foreign_; }
  /// Throws Error(kUsage) where the output is one of these files, under whatever name. Missing ones do not matter.
  void refuse_inputs(const std::vector<std::string>& inputs) const;

  /// Throws Error(kEnvironment).
  void write(std::string_view bytes) const;
  void write(const std::vector<char>& bytes) const { write(std::string_view(bytes.data(), bytes.size())); }

 private:
  enum class Way { kReplace, kOpen, kDescriptor };

  void look(const OutputRules& rules);

  std::string path_;
  int number_ = -1;  ///< of the descriptor that the path names
  Way way_ = Way::kReplace;
  bool replaces_foreign_ = false;
};

}  // namespace sluice
