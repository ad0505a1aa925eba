// A configuration: sections of keys in file order, each value with the place it came from.
#pragma once

#include <functional>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

#include "core/config/keys.hpp"

namespace sluice {

/// Where a value stands. An empty file means the command line; line 0 means a whole file.
struct Source {
  std::string file;
  int line = 0;
};
/// "file:line", "file" or "command line".
std::string to_string(const Source& source);

/// Collects errors and warnings, so that all of a configuration's mistakes are reported at once.
class Diagnostics {
 public:
  /// Text of one error: "<source>: [section] key: what is wrong; what is allowed". Empty section and key are left out.
  void error(const Source& source, const std::string& section, const std::string& key, const std::string& text);
  void warning(const std::string& text);
  bool has_errors() const;
  const std::vector<std::string>& errors() const { return errors_; }
  const std::vector<std::string>& warnings() const { return warnings_; }
  /// Throws Error(kUsage) with one line for each error, in the order of files and lines, if there are any.
  void throw_if_errors() const;

 private:
  std::vector<std::string> errors_;
  std::vector<std::string> warnings_;
};

/// One `key = value`, after includes, definitions and environment were put in.
struct Entry {
  enum class Origin { kDefault, kFile, kCommandLine };
  std::string key;
  std::string value;
  Source source;
  Origin origin = Origin::kFile;
  bool used = false;  ///< some consumer asked for it
};

/// A named section. Keys are unique; a later file or the command line replaces a value where it stands.
class Section {
 public:
  Section(std::string name, Source source);
  const std::string& name() const { return name_; }
  const Source& source() const { return source_; }
  const std::vector<Entry>& entries() const { return entries_; }
  const Entry* find(const std::string& key) const;
  Entry* find(const std::string& key);
  void set(Entry entry);                        ///< adds, or replaces the entry of the same key
  void add_missing(const Section& defaults);    ///< takes the entries whose keys this section lacks (type defaults)
  /// Reports every entry that nobody used, with the nearest of the keys that were asked for.
  void reject_unused(Diagnostics& diagnostics) const;
  /// Called by Keys: remembers that `key` is known, for the nearest match, and its default for the resolved configuration.
  void note_known(const std::string& key, const std::string& default_value);
  const std::vector<std::string>& known_keys() const { return known_; }

 private:
  std::string name_;
  Source source_;
  std::vector<Entry> entries_;
  std::vector<std::string> known_;
};

/// A whole configuration.
class Config {
 public:
  /// Reads INI files in order (later wins), then `--section.key=value` overrides. Syntax errors, missing includes, include cycles and
  /// undefined names are collected; throws Error(kUsage) with all of them.
  static Config load(const std::vector<std::string>& files, const std::vector<std::string>& overrides);
  /// The same from text; `name` stands in messages. Includes are relative to the working directory.
  static Config parse(const std::string& text, const std::string& name, const std::vector<std::string>& overrides = {});

  /// The section of that name, made empty where it is absent.
  Section& section(const std::string& name);
  const Section* find(const std::string& name) const;
  /// All sections in file order; `layer.` sections keep the order in which they first appeared.
  std::vector<Section>& sections() { return sections_; }
  const std::vector<Section>& sections() const { return sections_; }
  Diagnostics& diagnostics() { return diagnostics_; }

  /// Reads an options struct that has `void describe(Keys&)` from the section of that name.
  template <class Options>
  Options read(const std::string& section_name) {
    Options options;
    Keys keys(section(section_name), diagnostics_);
    options.describe(keys);
    return options;
  }

  /// Reports unknown sections (those neither read nor of a known prefix) and unused keys, then throws if anything was reported.
  void check();

  /// The resolved configuration as INI text that loads back to the same configuration: includes, definitions and environment put in,
  /// every known key with its value, each marked `# default`, `# file:line` or `# command line`.
  std::string resolved() const;

 private:
  std::vector<Section> sections_;
  Diagnostics diagnostics_;
};

/// The candidate closest to `word` by edit distance, or "" when none is close.
std::string nearest_match(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace sluice
