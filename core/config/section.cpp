// A section of a configuration: its entries, the keys that were asked for, and messages about them.
#include <algorithm>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "core/config/ini.hpp"
#include "core/config/text.hpp"

namespace sluice {

void Entry::take_origin_of(const std::string& name, const Entry& other) {
  if (other.origin == Origin::kCommandLine) origin = Origin::kCommandLine;
  if (other.broken) broken = true;
  const std::string place =
      other.source.file.empty() ? std::string("on the command line") : "at " + to_string(other.source);
  const std::string note = concat(" (${", name, "} is set ", place, ")");
  constexpr std::size_t kLongest = 1000;  // definitions of definitions would double it
  if (detail.size() < kLongest && detail.find(note) == std::string::npos) detail += note + other.detail;
}

std::vector<std::string> Entry::items() const {
  if (value.empty()) return {};  // written as "" or not
  return form == ValueForm::kQuoted ? std::vector<std::string>{value} : list_or_item(value);
}

std::string Entry::written() const {
  if (form == ValueForm::kItems) return value;
  return form == ValueForm::kQuoted && value.find(',') != std::string::npos ? in_quotes(value) : ini_value(value);
}

Section::Section(std::string name, Source source) : name_(std::move(name)), title_(name_), source_(std::move(source)) {}

Section Section::renamed(const std::string& name) const {
  Section copy = *this;
  copy.name_ = name;
  return copy;
}

const Entry* Section::find(const std::string& key) const {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.key == key; });
  return found == entries_.end() ? nullptr : &*found;
}

Entry* Section::find(const std::string& key) {
  return const_cast<Entry*>(static_cast<const Section*>(this)->find(key));
}

void Section::set(Entry entry) {
  if (Entry* old = find(entry.key)) {
    *old = std::move(entry);
  } else {
    entries_.push_back(std::move(entry));
  }
}

void Section::forget(const std::string& key) {
  const Entry* entry = find(key);
  if (entry == nullptr || entry->origin == Entry::Origin::kCommandLine) return;
  entries_.erase(entries_.begin() + (entry - entries_.data()));
}

void Section::rename(const std::string& old, const std::string& name) {
  Entry entry = *find(old);
  entries_.erase(entries_.begin() + (find(old) - entries_.data()));
  entry.key = name;
  set(std::move(entry));
}

void Section::add_missing(const Section& defaults) {
  for (const Entry& entry : defaults.entries()) {
    if (find(entry.key) != nullptr) continue;
    entries_.push_back(entry);
    if (entry.section.empty()) entries_.back().section = defaults.title();
  }
}

std::vector<Entry> Section::resolved_entries() const {
  std::vector<Entry> all = entries_;
  for (std::size_t i = 0; i < known_.size(); ++i) {
    if (!defaults_[i] || find(known_[i]) != nullptr) continue;
    Entry entry;
    entry.key = known_[i];
    entry.value = *defaults_[i];
    entry.source = source_;
    entry.origin = Entry::Origin::kDefault;
    all.push_back(std::move(entry));
  }
  return all;
}

void Section::report(Diagnostics& diagnostics, const std::string& key, const std::string& text) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return diagnostics.error(source_, title_, key, text);
  diagnostics.error(entry->source, entry->section.empty() ? title_ : entry->section, key, text + entry->detail);
}

std::string Section::where(const std::string& key) const {
  const Entry* entry = find(key);
  const bool elsewhere = entry != nullptr && !entry->section.empty();
  return concat(to_string(entry == nullptr ? source_ : entry->source), ": [", elsewhere ? entry->section : title_, "] ",
                key);
}

void Section::reject_unused(Diagnostics& diagnostics) const {
  for (const Entry& entry : entries_) {
    if (entry.used) continue;
    const std::string hint = diagnostics.full() ? "" : suggestion(entry.key, known_, "known keys");
    diagnostics.error(entry.source, entry.section.empty() ? title_ : entry.section, entry.key,
                      concat("unknown key", hint));
  }
}

std::optional<std::string> Section::default_of(const std::string& key) const {
  const auto found = std::find(known_.begin(), known_.end(), key);
  return found == known_.end() ? std::nullopt : defaults_[static_cast<std::size_t>(found - known_.begin())];
}

RoleOfKey Section::role_of(const std::string& key) const {
  const auto found = roles_.find(key);
  return found == roles_.end() ? RoleOfKey{} : found->second;
}

std::string Section::old_name_of(const std::string& key) const {
  const auto found = old_names_.find(key);
  return found == old_names_.end() ? "" : found->second;
}

void Section::note_known(const std::string& key, const std::optional<std::string>& default_value) {
  if (std::find(known_.begin(), known_.end(), key) != known_.end()) return;
  known_.push_back(key);
  defaults_.push_back(default_value);
}

}  // namespace sluice
