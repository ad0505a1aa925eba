// Sections that change layers which others describe: other keys, another layer behind them or in their place, or none.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config/block_library.hpp"
#include "core/config/config.hpp"

namespace sluice {

constexpr std::size_t kLayerPrefix = 6;  ///< characters of "layer."

/// As is_name; below `layer.` each part between dots may hold one '*'.
bool is_section_name(const std::string& text);

/// What the stars of `pattern` stand for in `name`, any characters but dots; nothing where it does not fit.
std::optional<std::vector<std::string>> match_stars(const std::string& pattern, const std::string& name);

/// The stars of each item of a comma-separated list replaced in order; those beyond stay.
std::string fill_stars(const std::string& text, const std::vector<std::string>& stars);

/// A switch of a layer's section; no where it is absent or wrong, which is reported.
bool switched_on(const Section& section, const char* key, Diagnostics& diagnostics);

/// It has `replace = yes`, and nothing was said before of its layer.
bool replaces_nothing(const Section& section, Diagnostics& diagnostics);

/// All of the section but that key.
Section without(const Section& section, const std::string& key);

/// Sets what a later file or the command line says. A `replace = yes` among it drops what was said of a layer before,
/// but for where it stands, what it reads, and the command line; its entry is `used` where there was something.
void set_entries(Section& section, std::vector<Entry> entries, Diagnostics& diagnostics);

/// The `layer.` sections of a configuration, and what they do to layers.
class LayerEdits {
 public:
  explicit LayerEdits(Config& config);

  /// Those that stand for themselves, in order.
  const std::vector<const Section*>& layers() const { return layers_; }

  /// Takes the values of the sections that change this layer: those with a '*' in file order, then the one of its own
  /// name. Returns whether `from` is one of them.
  bool change(Section& layer);

  /// A layer to be put in.
  struct Insertion {
    const Section* section = nullptr;
    std::string after, name;       ///< flat names, with equally many stars
    const Scope* scope = nullptr;  ///< of the block it stands in, or null
    bool used = false;
    bool under_way = false;
  };
  /// Adds one whose section has the key `after`; reports what is wrong with that.
  void add(const Section& section, const std::string& after, const std::string& name, const Scope* scope);

  /// One that stands behind a certain layer or block.
  struct Placed {
    std::size_t index;
    Section section;  ///< under its flat name, without `after`
    const Scope* scope;
  };
  /// The one behind the layer or block of this name. It is under way until `done`, so that it does not follow itself.
  std::optional<Placed> behind(const std::string& name);
  void done(std::size_t index) { insertions_[index].under_way = false; }

  /// Takes away the insertions from that one on and returns those that found no place.
  std::vector<Insertion> end_insertions(std::size_t first);
  std::size_t insertions() const { return insertions_.size(); }

  /// Sections that changed no layer.
  std::vector<const Section*> idle() const;

 private:
  struct Pattern {
    const Section* section;
    bool used = false;
  };
  void sort(const Section& section, bool below_block);
  bool apply(const Section& section, const std::vector<std::string>& stars, Section& layer) const;

  Diagnostics& diagnostics_;
  std::vector<const Section*> layers_;
  std::vector<Insertion> insertions_;
  std::vector<Pattern> patterns_;
  std::map<std::string, const Section*> changes_;  ///< of one layer, by flat name; used ones leave
  std::vector<const Section*> unknown_;
};

}  // namespace sluice
