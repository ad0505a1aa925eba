// Describes the keys of one configuration section: one description reads, validates, documents and writes them.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace sluice {

class Diagnostics;
struct Entry;
class Section;

/// What another value of a key means for a run that is continued (docs/run-directory.md).
enum class KeyRole {
  kDecides,    ///< it decides the run's result: another value makes another run
  kContinues,  ///< it does so too, but a run may go on with another value from where it stands
  kRounding,   ///< it decides the last bits of the result at most
  kNothing     ///< the result does not depend on it
};

/// What `--help` prints about a key.
struct KeyDoc {
  std::string name;
  std::string type;           ///< "integer", "number", "yes or no", "text", "path", "list of numbers", "one of a, b"
  std::string default_value;  ///< empty for a required key, and for a default outside of the allowed values ("not set")
  std::string allowed;        ///< "at least 1", "0 to 1", ...; empty when anything of the type is
  std::string doc;
  bool required = false;
  KeyRole role = KeyRole::kDecides;
  bool of_machine = false;    ///< as Keys::of_machine says
  std::string old_name = {};  ///< as Keys::renamed says
};

/// Inclusive bounds of a number; either may be open.
template <class T>
struct Range {
  T low;
  T high;
};

/// Bounds that are used often. above_zero is open at 0; any_integer and any_number have no bounds. NaN and infinity are
/// never accepted.
Range<std::int64_t> at_least(std::int64_t low);
Range<double> at_least(double low);
Range<double> above_zero();
Range<std::int64_t> between(std::int64_t low, std::int64_t high);
Range<double> between(double low, double high);
inline Range<std::int64_t> at_least(int low) {
  return at_least(std::int64_t{low});
}
inline Range<std::int64_t> between(int low, int high) {
  return between(std::int64_t{low}, std::int64_t{high});
}
Range<std::int64_t> any_integer();
Range<double> any_number();

/// A visitor over the keys of a section. An options struct, or the make function of a layer, calls `required` and
/// `optional` once for each key it knows. With a section behind it, Keys parses and validates each value, collects
/// every error (with file and line) in the section's Diagnostics and leaves the default in place where a value is
/// wrong; without one it only collects the documentation. After the visit, keys of the section that nobody asked for
/// are errors (`Section::reject_unused`).
class Keys {
 public:
  /// Reads `section`; errors go to `diagnostics`.
  Keys(Section& section, Diagnostics& diagnostics);
  /// Documents only: every value keeps its default.
  Keys();

  // Each overload leaves `value` untouched when the key is absent (optional) or wrong.
  void optional(const char* name, bool& value, const char* doc);
  void optional(const char* name, std::int64_t& value, Range<std::int64_t> range, const char* doc);
  void optional(const char* name, double& value, Range<double> range, const char* doc);
  void optional(const char* name, std::string& value, const char* doc);
  void optional(const char* name, std::vector<std::int64_t>& value, Range<std::int64_t> range, const char* doc);
  void optional(const char* name, std::vector<double>& value, Range<double> range, const char* doc);
  void optional(const char* name, std::vector<std::string>& value, const char* doc);

  /// A file or folder: a leading ~ or $NAME is put in (expand_path), except in what a checkpoint stored.
  void path(const char* name, std::string& value, const char* doc);
  void paths(const char* name, std::vector<std::string>& value, const char* doc);

  void required(const char* name, std::int64_t& value, Range<std::int64_t> range, const char* doc);
  void required(const char* name, double& value, Range<double> range, const char* doc);
  void required(const char* name, std::string& value, const char* doc);

  /// An enumeration by name: keys.choice("kind", kind, {{"max", Kind::kMax}, {"average", Kind::kAverage}}, "...").
  template <class E>
  void choice(const char* name, E& value, const std::vector<std::pair<std::string, E>>& choices, const char* doc) {
    std::vector<std::string> names;
    std::size_t chosen = 0;
    for (std::size_t i = 0; i < choices.size(); ++i) {
      names.push_back(choices[i].first);
      if (choices[i].second == value) chosen = i;
    }
    value = choices[choice_index(name, chosen, names, doc)].second;
  }

  /// Keys that another value of some choice would read ("momentum" with type = adamw). Where one is present it is not
  /// an unknown key but a warning, "[optimizer] momentum: has no effect with type = adamw", so that the choice can be
  /// changed on the command line alone.
  void idle(const std::vector<std::string>& names, const std::string& why);

  /// `old` is what `name` was called before, and reads as if it were that, with a note to who wrote it (a checkpoint
  /// did not). Call it before `name` is visited.
  void renamed(const char* old, const char* name);

  /// Says what other values of these keys, visited before, mean for a run that is continued: `effect` follows the
  /// change in one line. A key that no call names decides the run's result.
  void role(KeyRole role, const std::vector<std::string>& names, const std::string& effect);

  /// Says that these keys, visited before, belong to the machine and the call, not to what was trained: they are not
  /// taken from a checkpoint.
  void of_machine(const std::vector<std::string>& names);

  /// Reports an error about a key that parsed well but does not fit with others: "[section] key: text".
  void error(const char* name, const std::string& text);

  /// "file:line: [section] key" of a key, for errors found later (shape inference).
  std::string where(const char* name) const;

  const std::vector<KeyDoc>& docs() const { return docs_; }
  bool documenting() const { return section_ == nullptr; }

 private:
  std::size_t choice_index(const char* name, std::size_t default_index, const std::vector<std::string>& names,
                           const char* doc);
  /// Files the documentation; returns the entry to parse, or null where the key is absent or its value broken.
  Entry* lookup(const KeyDoc& doc, bool writable_default, const std::string& what);
  void expected(const std::string& name, const std::string& what, const std::string& got);
  template <class T>
  void number(const char* name, T& value, Range<T> range, const char* doc, bool required);
  template <class T>
  void numbers(const char* name, std::vector<T>& value, Range<T> range, const char* doc);
  KeyDoc& visited(const std::string& name);
  void text(const char* name, std::string& value, const char* doc, bool required);
  /// The entry of a text that is set, else null.
  Entry* text_entry(const char* name, const char* type, const std::string& value, const char* doc, bool required);
  /// The entry of a list of texts that is set, whose items go to `value`, else null.
  Entry* list_entry(const char* name, const char* type, std::vector<std::string>& value, const char* doc);

  Section* section_ = nullptr;
  Diagnostics* diagnostics_ = nullptr;
  std::vector<KeyDoc> docs_;
  std::map<std::string, std::string> old_names_;  ///< by name
};

/// Prints a section's keys for `--help`: aligned, wrapped at 100 columns. `about` stands behind the section's name.
void print_docs(std::ostream& out, const std::string& section, const std::vector<KeyDoc>& docs,
                const std::string& about = "");

}  // namespace sluice
