// The sections of a configuration: looking them up, checking that all were used, and writing them down again.
#include "core/config/config.hpp"

#include <algorithm>
#include <cctype>

#include "core/base/error.hpp"
#include "core/config/ini.hpp"
#include "core/config/substitute.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

/// "layer" of "layer.conv1", where the section belongs to the network's description; "" elsewhere.
std::string network_prefix(const std::string& section) {
  for (const char* prefix : {"layer", "block", "type"}) {
    if (starts_with(section, concat(prefix, "."))) return prefix;
  }
  return "";
}

/// For "layers.conv1": "layer.conv1". Empty where the part before the first dot is not close to a known one.
std::string nearest_prefixed(const std::string& section) {
  const std::size_t dot = section.find('.');
  if (dot == std::string::npos) return "";
  const std::string head = nearest_match(section.substr(0, dot), {"layer", "block", "type"});
  return head.empty() ? "" : head + section.substr(dot);
}

std::string origin_of(const Entry& entry) {
  std::string text = "default";
  if (entry.origin == Entry::Origin::kFile) text = to_string(entry.source);
  if (entry.origin == Entry::Origin::kCommandLine) text = "command line";
  for (char& c : text) {
    if (std::iscntrl(static_cast<unsigned char>(c))) c = '?';
  }
  return text;
}

std::string resolved_section(const Section& section) {
  // Values inside a block still have their escapes: they are resolved when the block is expanded.
  const bool escaped = starts_with(section.name(), "block.");
  const std::vector<Entry> entries = section.resolved_entries();
  std::vector<std::string> lines;
  std::size_t width = 0;
  for (const Entry& entry : entries) {
    lines.push_back(concat(entry.key, " = ", ini_value(escaped ? entry.value : escape_dollars(entry.value))));
    width = std::max(width, std::min<std::size_t>(lines.back().size(), 40));
  }
  std::string text = concat("[", section.name(), "]\n");
  for (std::size_t i = 0; i < lines.size(); ++i) {
    lines[i].resize(std::max(lines[i].size(), width), ' ');
    text += concat(lines[i], "  # ", origin_of(entries[i]), "\n");
  }
  return text;
}

}  // namespace

Section* Config::find(const std::string& name) {
  const auto found = std::find_if(sections_.begin(), sections_.end(),
                                  [&](const Section& candidate) { return candidate.name() == name; });
  return found == sections_.end() ? nullptr : &*found;
}

const Section* Config::find(const std::string& name) const {
  return const_cast<Config*>(this)->find(name);
}

Section& Config::section(const std::string& name) {
  Section* found = find(name);
  if (found == nullptr) {
    sections_.emplace_back(name, Source{main_file_, 0});
    found = &sections_.back();
  }
  found->set_used();
  return *found;
}

void Config::check() {
  for (const Section& section : sections_) check_section(section);
  diagnostics_.throw_if_errors();
}

void Config::check_section(const Section& section) {
  if (section.used()) return section.reject_unused(diagnostics_);
  if (!network_prefix(section.name()).empty()) return;
  std::vector<std::string> known;
  for (const Section& other : sections_) {
    if (other.used()) known.push_back(other.name());
  }
  std::string hint = suggestion(section.name(), known, "known sections");
  const std::string prefixed = nearest_prefixed(section.name());
  if (!prefixed.empty()) hint = concat("; did you mean '", prefixed, "'?");
  // On the command line a section has no line of its own: name the key.
  const bool overridden = section.source().file.empty() && !section.entries().empty();
  diagnostics_.error(section.source(), section.name(), overridden ? section.entries().front().key : "",
                     concat("unknown section", hint));
}

void Config::replace_layers(std::vector<Section> flat) {
  std::deque<Section> sections;
  bool placed = false;
  const auto place = [&] {
    for (const Section& layer : flat) sections.push_back(layer.renamed(concat("layer.", layer.name())));
    placed = true;
  };
  for (Section& section : sections_) {
    if (network_prefix(section.name()).empty()) {
      sections.push_back(std::move(section));
    } else if (!placed) {
      place();
    }
  }
  if (!placed) place();
  sections_ = std::move(sections);
}

std::string Config::resolved() const {
  std::vector<std::string> texts;
  for (const Section& section : sections_) texts.push_back(resolved_section(section));
  return join(texts, "\n");
}

}  // namespace sluice
