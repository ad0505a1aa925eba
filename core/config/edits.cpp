// Sections that change layers which others describe.
#include "core/config/edits.hpp"

#include <algorithm>
#include <set>
#include <string_view>

#include "core/base/error.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

using Names = std::vector<std::string>;

/// Takes the part before the next dot from the front of `rest`.
std::string_view take_part(std::string_view& rest) {
  const std::size_t dot = std::min(rest.find('.'), rest.size());
  const std::string_view part = rest.substr(0, dot);
  rest.remove_prefix(std::min(dot + 1, rest.size()));
  return part;
}

/// What the star of one part of a pattern stands for; without a star nothing is added.
bool match_part(std::string_view pattern, std::string_view part, Names& stars) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == part;
  const std::string_view before = pattern.substr(0, star), behind = pattern.substr(star + 1);
  const std::size_t fixed = before.size() + behind.size();
  if (part.size() <= fixed || part.substr(0, star) != before) return false;
  if (part.substr(part.size() - behind.size()) != behind) return false;
  stars.emplace_back(part.substr(star, part.size() - fixed));
  return true;
}

std::size_t count_stars(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '*'));
}

/// `[layer.X]` and `[block.B.X]`.
bool is_layer(const std::string& section) {
  return starts_with(section, "layer.") ||
         (starts_with(section, "block.") && section.find('.', 6) != std::string::npos);
}

/// Those entries of a section that `keep` takes.
template <class Keep>
Section only(const Section& section, const Keep& keep) {
  Section rest(section.name(), section.source());
  rest.set_title(section.title());
  for (const Entry& entry : section.entries()) {
    if (keep(entry)) rest.set(entry);
  }
  return rest;
}

/// Drops what was said of a layer where `replace` is on; false where there is nothing.
bool start_afresh(Section& section, const Entry& replace, Diagnostics& diagnostics) {
  if (section.entries().empty()) return false;
  Section asked(section.name(), section.source());
  asked.set_title(section.title());
  asked.set(replace);
  if (!switched_on(asked, "replace", diagnostics)) return true;
  section = only(section, [](const Entry& entry) {
    const bool command_line = entry.source.file.empty();
    return entry.key == "from" || entry.key == "after" || command_line;
  });
  return true;
}

}  // namespace

bool is_section_name(const std::string& text) {
  std::string plain = text;
  std::replace(plain.begin(), plain.end(), '*', 'x');
  if (!is_name(plain) || plain == text) return is_name(text);
  if (!starts_with(text, "layer.")) return false;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view part = take_part(rest);
    if (std::count(part.begin(), part.end(), '*') > 1) return false;
  }
  return true;
}

std::optional<Names> match_stars(const std::string& pattern, const std::string& name) {
  Names stars;
  std::string_view left = pattern, right = name;
  while (!left.empty() && !right.empty()) {
    if (!match_part(take_part(left), take_part(right), stars)) return std::nullopt;
  }
  if (!left.empty() || !right.empty()) return std::nullopt;
  return stars;
}

std::string fill_stars(const std::string& text, const Names& stars) {
  std::string filled;
  std::size_t next = 0;
  for (const char c : text) {
    if (c == ',') next = 0;
    if (c == '*' && next < stars.size()) {
      filled += stars[next++];
    } else {
      filled += c;
    }
  }
  return filled;
}

bool switched_on(const Section& section, const char* key, Diagnostics& diagnostics) {
  if (section.find(key) == nullptr) return false;
  Section copy = section;
  bool on = false;
  Keys(copy, diagnostics).optional(key, on, "");
  return on;
}

bool replaces_nothing(const Section& section, Diagnostics& diagnostics) {
  return switched_on(section, "replace", diagnostics) && !section.find("replace")->used;
}

Section without(const Section& section, const std::string& key) {
  return only(section, [&key](const Entry& entry) { return entry.key != key; });
}

void set_entries(Section& section, std::vector<Entry> entries, Diagnostics& diagnostics) {
  for (Entry& entry : entries) {
    if (entry.key == "replace" && is_layer(section.name())) entry.used = start_afresh(section, entry, diagnostics);
  }
  for (Entry& entry : entries) section.set(std::move(entry));
}

LayerEdits::LayerEdits(Config& config) : diagnostics_(config.diagnostics()) {
  std::set<std::string> with_block;
  for (const Section& section : config.sections()) {
    if (starts_with(section.name(), "layer.") && section.find("block") != nullptr) with_block.insert(section.name());
  }
  const auto below_block = [&with_block](const std::string& name) {
    for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
      if (with_block.count(name.substr(0, dot)) != 0) return true;
    }
    return false;
  };
  for (const Section& section : config.sections()) {
    if (starts_with(section.name(), "layer.")) sort(section, below_block(section.name()));
  }
}

void LayerEdits::sort(const Section& section, bool below_block) {
  const std::string name = section.name().substr(kLayerPrefix);
  const bool declares = section.find("type") != nullptr || section.find("block") != nullptr;
  if (const Entry* after = section.find("after")) {
    if (!after->broken) add(section, after->value, name, nullptr);
  } else if (count_stars(name) > 0) {
    patterns_.push_back({&section});
  } else if (below_block) {
    changes_.emplace(name, &section);
  } else if (section.source().file.empty() || replaces_nothing(section, diagnostics_) ||
             (!declares && section.find("remove") != nullptr)) {
    unknown_.push_back(&section);
  } else {
    layers_.push_back(&section);
  }
}

bool LayerEdits::change(Section& layer) {
  bool from = false;
  for (Pattern& pattern : patterns_) {
    const auto stars = match_stars(pattern.section->name().substr(kLayerPrefix), layer.name());
    if (!stars) continue;
    pattern.used = true;
    from = apply(*pattern.section, *stars, layer) || from;
  }
  const auto change = changes_.find(layer.name());
  if (change == changes_.end()) return from;
  from = apply(*change->second, {}, layer) || from;
  changes_.erase(change);
  return from;
}

bool LayerEdits::apply(const Section& section, const Names& stars, Section& layer) const {
  if (const Entry* replace = section.find("replace")) {
    Entry named = *replace;
    named.section = section.title();
    start_afresh(layer, named, diagnostics_);
  }
  for (Entry entry : section.entries()) {
    if (entry.key == "replace") continue;
    entry.section = section.title();
    if (entry.key == "from" || entry.key == "share") entry.value = fill_stars(entry.value, stars);
    layer.set(std::move(entry));
  }
  return section.find("from") != nullptr;
}

void LayerEdits::add(const Section& section, const std::string& after, const std::string& name, const Scope* scope) {
  const std::string written = section.find("after")->value;
  const auto report = [&](const std::string& text) { section.report(diagnostics_, "after", text); };
  if (!is_section_name("layer." + after)) return report(concat("expected the name of a layer, got ", quoted(written)));
  if (count_stars(after) != count_stars(name))
    return report(
        concat("expected as many '*' as in the layer's own name, ", count_stars(name), ", got ", quoted(written)));
  Insertion insertion;
  insertion.section = &section;
  insertion.after = after;
  insertion.name = name;
  insertion.scope = scope;
  insertions_.push_back(insertion);
}

std::optional<LayerEdits::Placed> LayerEdits::behind(const std::string& name) {
  std::optional<Placed> placed;
  for (std::size_t i = 0; i < insertions_.size(); ++i) {
    Insertion& insertion = insertions_[i];
    if (insertion.under_way) continue;
    const auto stars = match_stars(insertion.after, name);
    if (!stars) continue;
    insertion.used = true;
    const std::string own = fill_stars(insertion.name, *stars);
    if (placed) {
      insertion.section->report(diagnostics_, "after",
                                concat(quoted(placed->section.name()), " stands behind ", quoted(name),
                                       " already; put this layer behind that one"));
      continue;
    }
    placed = Placed{i, Section(own, insertion.section->source()), insertion.scope};
    placed->section.set_title(insertion.section->title());
    for (Entry entry : insertion.section->entries()) {
      if (entry.key == "from" || entry.key == "share") entry.value = fill_stars(entry.value, *stars);
      if (entry.key != "after") placed->section.set(std::move(entry));
    }
  }
  if (placed) insertions_[placed->index].under_way = true;
  return placed;
}

std::vector<LayerEdits::Insertion> LayerEdits::end_insertions(std::size_t first) {
  std::vector<Insertion> idle;
  for (std::size_t i = first; i < insertions_.size(); ++i) {
    if (!insertions_[i].used) idle.push_back(insertions_[i]);
  }
  insertions_.resize(first);
  return idle;
}

std::vector<const Section*> LayerEdits::idle() const {
  std::vector<const Section*> idle;
  for (const auto& [name, section] : changes_) idle.push_back(section);
  idle.insert(idle.end(), unknown_.begin(), unknown_.end());
  for (const Pattern& pattern : patterns_) {
    if (!pattern.used) idle.push_back(pattern.section);
  }
  return idle;
}

}  // namespace sluice
