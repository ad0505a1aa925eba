// Puts definitions, choices by them, integer arithmetic on them and environment variables in the place of ${NAME},
// ${NAME: a = x, b = y}, ${2*NAME} and ${env:NAME}.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/config/config.hpp"

namespace sluice {

/// How deep definitions, defaults and blocks may stand in others of their kind.
constexpr std::size_t kDeepest = 100;

/// Replaces every `${inner}` of `text` by replace(inner); braces nest. `$${` stands for a literal `${` and becomes it,
/// unless `keep_escapes`. Throws Error(kUsage) where a `${` is not closed, and where the result is longer than any
/// value (1 MiB).
std::string substitute(const std::string& text, const std::function<std::string(const std::string&)>& replace,
                       bool keep_escapes = false);

/// The words inside of `${...}`: names of definitions, and values that may look like one.
std::set<std::string> words_in_braces(const std::string& text);

/// The value of the environment variable NAME for "NAME", or "NAME:-DEFAULT" where it may be unset or empty; names in
/// the default go through `replace`. With `keep_escapes` the result is still to be substituted once more. Throws
/// Error(kUsage) where the variable is not set.
std::string environment_value(const std::string& text, const std::function<std::string(const std::string&)>& replace,
                              bool keep_escapes = false);

/// `text` as it must be written to be read back unchanged: `${` becomes `$${`.
std::string escape_dollars(const std::string& text);

/// What all values together may grow to by definitions and block parameters: a few lines can ask for gigabytes.
class Growth {
 public:
  /// Throws Error(kUsage) with the reason alone once it is too much.
  void add(std::size_t bytes);

 private:
  std::size_t total_ = 0;
};

/// The entries of `[define]`, and what became of them.
class Definitions {
 public:
  /// `section` is `[define]`, or null where there is none.
  Definitions(const Section* section, Diagnostics& diagnostics);

  /// Replaces the names in an entry's value; what is unknown is reported and the entry marked broken.
  void apply(const Section& section, Entry& entry);
  /// The same inside `[block.*]`: `${name}` of a block parameter and the escapes stay for the expansion of the block.
  void apply_in_block(const Section& section, Entry& entry, const std::vector<std::string>& parameters);
  /// In a block's own list of parameters, whose names are not known yet: unknown names stay.
  void apply_in_parameter_list(const Section& section, Entry& entry);
  /// Reports the definitions that nothing used: most often they are misspelt.
  void reject_unused();

 private:
  struct Scope {
    bool in_block = false;
    bool keep_unknown = false;
    std::vector<std::string> parameters;
  };
  void expand(const Section& section, Entry& entry, const Scope& scope);
  std::string lookup(const std::string& inner, const Section& section, Entry& entry, const Scope& scope);
  /// The text that stands behind the value of NAME in "NAME: VALUE = TEXT, ...".
  std::string choose(const std::string& inner, const Section& section, Entry& entry, const Scope& scope);
  /// The value of an expression, or `${...}` around it where it needs the parameters of a block.
  std::string compute(const std::string& inner, const Section& section, Entry& entry, const Scope& scope);
  /// The resolved definition of that name, or null.
  const Entry* resolve(const std::string& name);
  std::vector<std::string> names() const;

  const Section* section_;
  Diagnostics& diagnostics_;
  std::map<std::string, Entry> resolved_;
  std::vector<std::string> resolving_;  ///< the chain of definitions under way, to find cycles
  Growth growth_;
  bool too_deep_ = false;
  std::size_t depth_ = 0;  ///< of defaults in defaults
  std::set<std::string> mentioned_;
};

}  // namespace sluice
