// A configuration: sections of keys in file order, each value with the place it came from.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/config/keys.hpp"
#include "core/config/list.hpp"

namespace sluice {

/// Where a value stands. An empty file means the command line; line 0 means a whole file.
struct Source {
  std::string file;
  int line = 0;
};
/// "file:line", "file" or "command line".
std::string to_string(const Source& source);

/// Collects errors, warnings and notes, so that all of a configuration's mistakes are reported at once.
class Diagnostics {
 public:
  /// Text of one error: "<source>: [section] key: what is wrong; what is allowed". Empty section and key are left out.
  /// An error that is there already is not repeated (a mistake in a block that a network uses nine times is one
  /// mistake). The first hundred are kept, the others counted.
  void error(const Source& source, const std::string& section, const std::string& key, const std::string& text);
  void warning(const std::string& text);
  /// What is no mistake but good to know: an old name of a key. One that is there already is not repeated.
  void note(const std::string& text);
  bool has_errors() const;
  /// No more errors are kept.
  bool full() const;
  /// In the order of files (as they were opened) and lines; the command line comes last.
  const std::vector<std::string>& errors() const { return errors_; }
  const std::vector<std::string>& warnings() const { return warnings_; }
  const std::vector<std::string>& notes() const { return notes_; }
  /// Throws ErrorLines(kUsage) with one line for each error, in the order of files and lines, if there are any.
  void throw_if_errors() const;
  /// Gives a file its place in the order of errors.
  void note_file(const std::string& file);

 private:
  using Place = std::pair<std::size_t, int>;
  Place place(const Source& source);

  std::vector<std::string> files_;
  std::vector<std::string> errors_;
  std::vector<Place> places_;  ///< of errors_
  std::size_t more_ = 0;
  std::vector<std::string> warnings_, notes_;
};

/// One `key = value`, after includes, definitions and environment were put in.
struct Entry {
  enum class Origin { kDefault, kFile, kCommandLine };
  std::string key;
  std::string value;
  Source source;
  Origin origin =
      Origin::kFile;    ///< kCommandLine also where a definition or block argument in the value came from there
  bool used = false;    ///< some consumer asked for it
  bool broken = false;  ///< the value could not be made out, which is reported already
  bool stored = false;  ///< from a checkpoint: it stands for itself
  ValueForm form = ValueForm::kPlain;
  std::string
      section;  ///< the section it was written in ("block.basic.conv1", "type.conv"); empty: the one that holds it
  std::string detail;  ///< for messages: where the definitions and block arguments in the value are set

  /// Notes that ${name} in the value came from `other`.
  void take_origin_of(const std::string& name, const Entry& other);
  /// The value as a list: in quotes as a whole it is one item, and so is what cannot be a list.
  std::vector<std::string> items() const;
  /// The value as it is written behind "key = ".
  std::string written() const;
};

/// What a change of a key means for a run that is continued, and in words.
struct RoleOfKey {
  KeyRole role = KeyRole::kDecides;
  std::string effect;
};

/// A named section. Keys are unique; a later file or the command line replaces a value where it stands.
class Section {
 public:
  Section(std::string name, Source source);
  const std::string& name() const { return name_; }
  const Source& source() const { return source_; }
  /// What messages call the section: its name, or the name that stands in the file ("layer.conv1" and
  /// "block.basic.conv1" for layers).
  const std::string& title() const { return title_; }
  void set_title(const std::string& title) { title_ = title; }
  /// The same section under another name.
  Section renamed(const std::string& name) const;
  const std::vector<Entry>& entries() const { return entries_; }
  const Entry* find(const std::string& key) const;
  Entry* find(const std::string& key);
  void set(Entry entry);                      ///< adds, or replaces the entry of the same key
  void add_missing(const Section& defaults);  ///< takes the entries whose keys this section lacks (type defaults)
  void forget(const std::string& key);        ///< drops the entry, unless the command line set it
  /// The entry of `old` gets the key `name`; another of that key goes.
  void rename(const std::string& old, const std::string& name);
  /// All entries, then the defaults of the known keys that are absent (Origin::kDefault).
  std::vector<Entry> resolved_entries() const;
  /// Reports an error about a key at the place of its entry, or of the section where the key is absent or "".
  void report(Diagnostics& diagnostics, const std::string& key, const std::string& text) const;
  /// "file:line: [section] key" of a key, as `report` prints it.
  std::string where(const std::string& key) const;
  /// Reports every entry that nobody used, with the nearest of the keys that were asked for.
  void reject_unused(Diagnostics& diagnostics) const;
  /// Called by Keys: remembers that `key` is known, for the nearest match, and its default for the resolved
  /// configuration. Without a default the key is required, or its default cannot be written down.
  void note_known(const std::string& key, const std::optional<std::string>& default_value);
  const std::vector<std::string>& known_keys() const { return known_; }
  std::optional<std::string> default_of(const std::string& key) const;
  void note_role(const std::string& key, KeyRole role, const std::string& effect) { roles_[key] = {role, effect}; }
  RoleOfKey role_of(const std::string& key) const;
  /// Called by Keys: `key` had another name, which configurations of before have.
  void note_renamed(const std::string& old, const std::string& key) { old_names_[key] = old; }
  std::string old_name_of(const std::string& key) const;  ///< or ""
  /// Some consumer asked for this section (Config::section, Keys).
  bool used() const { return used_; }
  void set_used() { used_ = true; }

 private:
  std::string name_, title_;
  Source source_;
  std::vector<Entry> entries_;
  std::vector<std::string> known_;
  std::vector<std::optional<std::string>> defaults_;  ///< of known_
  std::map<std::string, RoleOfKey> roles_;            ///< of those that Keys said
  std::map<std::string, std::string> old_names_;
  bool used_ = false;
};

/// A whole configuration.
class Config {
 public:
  /// Reads INI files in order (later wins), then `--section.key=value` overrides. Throws Error(kUsage) at once only
  /// where a file or an include cannot be read; malformed lines, duplicates and undefined names wait in diagnostics(),
  /// so that check() reports them together with wrong values and unknown keys. A file that several others include is
  /// read once.
  static Config load(const std::vector<std::string>& files, const std::vector<std::string>& overrides);
  /// The same from text; `name` stands in messages. Includes are relative to the working directory.
  static Config parse(const std::string& text, const std::string& name, const std::vector<std::string>& overrides = {});
  /// The resolved configuration that a checkpoint holds, with overrides. It may be a stranger's: its text stands for
  /// itself, without includes, environment, definitions or the user's home, which are left to the overrides. Throws
  /// Error(kCheckpoint) where it asks for more.
  static Config stored(const std::string& text, const std::string& name,
                       const std::vector<std::string>& overrides = {});

  /// The section of that name, made empty where it is absent, and marked as used. The reference stays valid until
  /// replace_layers.
  Section& section(const std::string& name);
  const Section* find(const std::string& name) const;
  Section* find(const std::string& name);
  /// All sections in the order in which they first appeared.
  std::deque<Section>& sections() { return sections_; }
  const std::deque<Section>& sections() const { return sections_; }
  Diagnostics& diagnostics() { return diagnostics_; }

  /// Reads an options struct that has `void describe(Keys&)` from the section of that name.
  template <class Options>
  Options read(const std::string& section_name) {
    Options options;
    Keys keys(section(section_name), diagnostics_);
    options.describe(keys);
    return options;
  }

  /// Reports unknown sections (those neither used nor of a known prefix: layer, block, type) and unused keys, then
  /// throws Error(kUsage) if there are errors in diagnostics(). Call it once everything was read.
  void check();

  /// Puts the flat layers that blocks became, after the network read them, in the place of all
  /// `layer.`, `block.` and `type.` sections.
  void replace_layers(std::vector<Section> flat);

  /// The resolved configuration as INI text that loads back to the same configuration: includes, definitions and
  /// environment put in, every known key with its value, each marked `# default`, `# file:line` or `# command line`.
  /// Blocks and type defaults are gone after replace_layers.
  std::string resolved() const;

 private:
  void read_overrides(const std::vector<std::string>& overrides);
  void put_in_definitions();
  void check_section(const Section& section);

  std::deque<Section> sections_;  // a deque keeps references when sections are added
  Diagnostics diagnostics_;
  std::string main_file_;  ///< where an absent section is missed
};

/// The candidate closest to `word` by edit distance, or "" when none is close.
std::string nearest_match(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace sluice
