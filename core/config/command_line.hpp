// The command line of every program: its own flags, positional arguments, and `--section.key=value` overrides.
#pragma once

#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

/// A flag that a program declares.
struct Flag {
  std::string name;        ///< "resume" for --resume; without dots
  std::string value_name;  ///< what --help calls the value: "FILE"; empty for a switch, which takes none
  std::string doc;
  char letter = '\0';       ///< 'o' for a short form -o
  bool repeatable = false;  ///< may be given several times
};

/// What stood on the command line, in order.
class CommandLine {
 public:
  bool has(const std::string& flag) const { return flags_.count(flag) != 0; }
  /// The value of a flag, or nothing where it is absent.
  std::optional<std::string> value(const std::string& flag) const;
  /// The same of a file to write or read: a leading ~ or $NAME is put in (expand_path). Throws Error(kUsage).
  std::optional<std::string> path(const std::string& flag) const;
  /// The values of a repeatable flag.
  std::vector<std::string> values(const std::string& flag) const;
  const std::vector<std::string>& positional() const { return positional_; }
  /// `--section.key=value`, for Config::load.
  const std::vector<std::string>& overrides() const { return overrides_; }

 private:
  friend CommandLine parse_command_line(int argc, const char* const* argv, const std::vector<Flag>& flags,
                                        const std::function<std::vector<std::string>()>& keys);

  std::map<std::string, std::vector<std::string>> flags_;
  std::vector<std::string> positional_;
  std::vector<std::string> overrides_;
};

/// Names must be written out (no abbreviations); `--flag=VALUE` and `--flag VALUE` are the same, overrides have the
/// form with `=` only; after `--` everything is positional. Throws Error(kUsage) on anything else; `keys` tells the
/// names of all keys ("train.epochs"), for who writes --epochs=5.
CommandLine parse_command_line(int argc, const char* const* argv, const std::vector<Flag>& flags,
                               const std::function<std::vector<std::string>()>& keys = {});

/// Prints the flags for --help.
void print_flags(std::ostream& out, const std::vector<Flag>& flags);

}  // namespace sluice
