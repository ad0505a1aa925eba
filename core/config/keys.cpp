// Reads, validates and documents the keys of a section.
#include "core/config/keys.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "core/config/ini.hpp"
#include "core/config/lookalike.hpp"
#include "core/config/path.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

using Integer = std::int64_t;

template <class T>
const char* noun() {
  return std::is_same_v<T, double> ? "number" : "integer";
}

std::string written(Integer value) {
  return std::to_string(value);
}

std::string written(double value) {
  return shortest(value);
}

template <class T>
std::string written(const std::vector<T>& values) {
  std::vector<std::string> items;
  for (const T& value : values) items.push_back(written(value));
  return join(items);
}

template <class T>
bool open_low(T low) {
  return low <= std::numeric_limits<T>::lowest();
}
template <class T>
bool open_high(T high) {
  return high >= std::numeric_limits<T>::max();
}

// The smallest normal number stands for "above 0": programs flush smaller ones to zero, also in comparisons.
bool above_zero_only(double low) {
  return low == std::numeric_limits<double>::min();
}
bool above_zero_only(Integer) {
  return false;
}

/// "at least 1", "above 0", "0 to 1", "at most 5", or "" without bounds.
template <class T>
std::string allowed(Range<T> range) {
  if (open_low(range.low) && open_high(range.high)) return "";
  if (open_low(range.low)) return "at most " + written(range.high);
  const std::string low = above_zero_only(range.low) ? "above 0" : "at least " + written(range.low);
  if (open_high(range.high)) return low;
  if (above_zero_only(range.low)) return concat("above 0, at most ", written(range.high));
  return concat(written(range.low), " to ", written(range.high));
}

/// "an integer of at least 1", "a number from 0 to 1".
template <class T>
std::string expectation(const std::string& noun_phrase, Range<T> range) {
  const std::string limits = allowed(range);
  if (limits.empty()) return noun_phrase;
  if (starts_with(limits, "at ")) return concat(noun_phrase, " of ", limits);
  return concat(noun_phrase, starts_with(limits, "above") ? " " : " from ", limits);
}

template <class T>
std::string one_expected(Range<T> range) {
  return expectation(concat(std::is_same_v<T, double> ? "a " : "an ", noun<T>()), range);
}

template <class T>
bool inside(T value, Range<T> range) {
  return value >= range.low && value <= range.high;
}

/// The whole text as a finite number inside the range.
template <class T>
std::optional<T> parse(const std::string& text, Range<T> range) {
  T value{};
  const char* end = text.data() + text.size();
  const std::from_chars_result result = std::from_chars(text.data(), end, value);
  if (text.empty() || result.ec != std::errc() || result.ptr != end) return std::nullopt;
  if constexpr (std::is_same_v<T, double>) {
    if (!std::isfinite(value)) return std::nullopt;
  }
  if (!inside(value, range)) return std::nullopt;
  return value;
}

std::optional<bool> parse_bool(const std::string& text) {
  for (const char* yes : {"yes", "true", "on", "1"}) {
    if (text == yes) return true;
  }
  for (const char* no : {"no", "false", "off", "0"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

/// Keeps the items in the form in which they are written down, where the text as it stood would not read back.
void write_list(Entry& entry, const std::vector<std::string>& items) {
  const bool plain = entry.form == ValueForm::kPlain && entry.value.find('"') == std::string::npos;
  if (items.empty() || (plain && ini_value(entry.value) == entry.value)) return;
  entry.form = items.size() == 1 ? ValueForm::kQuoted : ValueForm::kPlain;
  entry.value = items.size() == 1 ? items.front() : list_text(items);
  if (items.size() > 1 && starts_with(entry.value, "\"")) entry.form = ValueForm::kItems;
}

}  // namespace

Range<Integer> at_least(Integer low) {
  return {low, std::numeric_limits<Integer>::max()};
}
Range<double> at_least(double low) {
  return {low, std::numeric_limits<double>::max()};
}
Range<double> above_zero() {
  return at_least(std::numeric_limits<double>::min());
}
Range<Integer> between(Integer low, Integer high) {
  return {low, high};
}
Range<double> between(double low, double high) {
  return {low, high};
}
Range<Integer> any_integer() {
  return at_least(std::numeric_limits<Integer>::lowest());
}
Range<double> any_number() {
  return at_least(std::numeric_limits<double>::lowest());
}

Keys::Keys() = default;

Keys::Keys(Section& section, Diagnostics& diagnostics) : section_(&section), diagnostics_(&diagnostics) {
  section.set_used();
}

void Keys::renamed(const char* old, const char* name) {
  old_names_[name] = old;
  if (section_ == nullptr) return;
  section_->note_renamed(old, name);
  Entry* const entry = section_->find(old);
  if (entry == nullptr) return;
  entry->used = true;
  const Entry* const other = section_->find(name);
  if (other != nullptr && other->origin == Entry::Origin::kCommandLine) return section_->forget(old);
  if (other != nullptr && entry->origin != Entry::Origin::kCommandLine)
    return error(old, concat("is the old name of ", name, ", which is set too; remove one"));
  if (!entry->stored) diagnostics_->note(concat(section_->where(old), ": is called ", name, " now"));
  section_->rename(old, name);
}

Entry* Keys::lookup(const KeyDoc& doc, bool writable_default, const std::string& what) {
  docs_.push_back(doc);
  if (const auto old = old_names_.find(doc.name); old != old_names_.end()) docs_.back().old_name = old->second;
  if (section_ == nullptr) return nullptr;
  section_->note_known(doc.name, writable_default ? std::optional<std::string>(doc.default_value) : std::nullopt);
  Entry* entry = section_->find(doc.name);
  if (entry == nullptr) {
    if (doc.required) {
      section_->report(*diagnostics_, doc.name, concat("required key is missing; expected ", what));
    }
    return nullptr;
  }
  entry->used = true;
  return entry->broken ? nullptr : entry;
}

void Keys::expected(const std::string& name, const std::string& what, const std::string& got) {
  const Entry* const entry = section_->find(name);
  const std::string found = entry == nullptr ? "" : lookalike_in(entry->value, "character");
  const std::string hint = found.empty() ? "" : concat(" (", found, ")");
  section_->report(*diagnostics_, name, concat("expected ", what, ", got ", got, hint));
}

template <class T>
void Keys::number(const char* name, T& value, Range<T> range, const char* doc, bool required) {
  const bool writable = !required && inside(value, range);
  const Entry* entry = lookup({name, noun<T>(), writable ? written(value) : "", allowed(range), doc, required},
                              writable, one_expected(range));
  if (entry == nullptr) return;
  if (const std::optional<T> parsed = parse(entry->value, range)) {
    value = *parsed;
  } else {
    expected(name, one_expected(range), quoted(entry->value));
  }
}

template <class T>
void Keys::numbers(const char* name, std::vector<T>& value, Range<T> range, const char* doc) {
  const bool writable = std::all_of(value.begin(), value.end(), [&](T item) { return inside(item, range); });
  const std::string what = expectation(concat(noun<T>(), "s"), range) + " separated by commas";
  const Entry* entry =
      lookup({name, concat("list of ", noun<T>(), "s"), writable ? written(value) : "", allowed(range), doc, false},
             writable, what);
  if (entry == nullptr) return;
  std::vector<T> parsed;
  const std::string& text = entry->value;
  const std::vector<std::string> items = split_list(text);
  for (const std::string& item : items) {
    const std::optional<T> number = parse(item, range);
    if (!number) {
      return expected(name, what, items.size() == 1 ? quoted(item) : concat(quoted(item), " in ", quoted(text)));
    }
    parsed.push_back(*number);
  }
  value = parsed;
}

Entry* Keys::text_entry(const char* name, const char* type, const std::string& value, const char* doc, bool required) {
  Entry* const entry = lookup({name, type, required ? "" : value, "", doc, required}, !required, type);
  if (entry == nullptr) return nullptr;
  if (entry->form == ValueForm::kItems) {
    expected(name, concat("one ", type, " and not a list"), quoted(entry->value));
    return nullptr;
  }
  if (!required || !entry->value.empty()) return entry;
  expected(name, type, "''");
  return nullptr;
}

void Keys::text(const char* name, std::string& value, const char* doc, bool required) {
  if (const Entry* const entry = text_entry(name, "text", value, doc, required)) value = entry->value;
}

void Keys::path(const char* name, std::string& value, const char* doc) {
  Entry* const entry = text_entry(name, "path", value, doc, false);
  if (entry == nullptr) return;
  try {
    if (!entry->stored) entry->value = expand_path(entry->value);
    value = entry->value;
  } catch (const Error& problem) {
    error(name, problem.what());
  }
}

void Keys::optional(const char* name, bool& value, const char* doc) {
  const Entry* entry = lookup({name, "yes or no", value ? "yes" : "no", "", doc, false}, true, "yes or no");
  if (entry == nullptr) return;
  if (const std::optional<bool> parsed = parse_bool(entry->value)) {
    value = *parsed;
  } else {
    expected(name, "yes or no", quoted(entry->value));
  }
}

void Keys::optional(const char* name, Integer& value, Range<Integer> range, const char* doc) {
  number(name, value, range, doc, false);
}
void Keys::optional(const char* name, double& value, Range<double> range, const char* doc) {
  number(name, value, range, doc, false);
}
void Keys::optional(const char* name, std::string& value, const char* doc) {
  text(name, value, doc, false);
}
void Keys::optional(const char* name, std::vector<Integer>& value, Range<Integer> range, const char* doc) {
  numbers(name, value, range, doc);
}
void Keys::optional(const char* name, std::vector<double>& value, Range<double> range, const char* doc) {
  numbers(name, value, range, doc);
}

Entry* Keys::list_entry(const char* name, const char* type, std::vector<std::string>& value, const char* doc) {
  Entry* const entry = lookup({name, type, list_text(value), "", doc, false}, true, "texts separated by commas");
  if (entry == nullptr) return nullptr;
  std::vector<std::string> items = {entry->value};
  try {
    if (entry->form != ValueForm::kQuoted) items = parse_list(entry->value);
  } catch (const Error& problem) {
    error(name, problem.what());
    return nullptr;
  }
  if (std::find(items.begin(), items.end(), "") != items.end() && !(items.size() == 1 && entry->value.empty())) {
    expected(name, "texts separated by commas", concat("an empty item in ", quoted(entry->value)));
    return nullptr;
  }
  if (items.size() == 1 && items.front().empty()) items.clear();
  write_list(*entry, items);
  value = std::move(items);
  return entry;
}

void Keys::optional(const char* name, std::vector<std::string>& value, const char* doc) {
  list_entry(name, "list of texts", value, doc);
}

void Keys::paths(const char* name, std::vector<std::string>& value, const char* doc) {
  Entry* const entry = list_entry(name, "list of paths", value, doc);
  if (entry == nullptr || entry->stored) return;
  try {
    std::vector<std::string> expanded;
    for (const std::string& path : value) expanded.push_back(expand_path(path));
    if (expanded == value) return;
    value = std::move(expanded);
    entry->value = list_text(value);
    write_list(*entry, value);
  } catch (const Error& problem) {
    error(name, problem.what());
  }
}

void Keys::required(const char* name, Integer& value, Range<Integer> range, const char* doc) {
  number(name, value, range, doc, true);
}
void Keys::required(const char* name, double& value, Range<double> range, const char* doc) {
  number(name, value, range, doc, true);
}
void Keys::required(const char* name, std::string& value, const char* doc) {
  text(name, value, doc, true);
}

std::size_t Keys::choice_index(const char* name, std::size_t default_index, const std::vector<std::string>& names,
                               const char* doc) {
  const std::string list = concat("one of ", join(names));
  const Entry* entry = lookup({name, list, names.at(default_index), "", doc, false}, true, list);
  if (entry == nullptr) return default_index;
  const std::string& text = entry->value;
  const auto found = std::find(names.begin(), names.end(), text);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  const std::string nearest = nearest_match(text, names);
  expected(name, list, quoted(text) + (nearest.empty() ? "" : concat("; did you mean '", nearest, "'?")));
  return default_index;
}

void Keys::idle(const std::vector<std::string>& names, const std::string& why) {
  if (section_ == nullptr) return;
  for (const std::string& name : names) {
    Entry* entry = section_->find(name);
    if (entry == nullptr) continue;
    entry->used = true;
    section_->note_role(name, KeyRole::kNothing, concat("has no effect with ", why));
    diagnostics_->warning(concat(section_->where(name), ": has no effect with ", why));
  }
}

KeyDoc& Keys::visited(const std::string& name) {
  const auto found = std::find_if(docs_.begin(), docs_.end(), [&](const KeyDoc& doc) { return doc.name == name; });
  assert(found != docs_.end());
  return *found;
}

void Keys::of_machine(const std::vector<std::string>& names) {
  for (const std::string& name : names) visited(name).of_machine = true;
}

void Keys::role(KeyRole role, const std::vector<std::string>& names, const std::string& effect) {
  for (const std::string& name : names) {
    visited(name).role = role;
    if (section_ != nullptr) section_->note_role(name, role, effect);
  }
}

void Keys::error(const char* name, const std::string& text) {
  if (section_ != nullptr) section_->report(*diagnostics_, name, text);
}

std::string Keys::where(const char* name) const {
  return section_ == nullptr ? name : section_->where(name);
}

}  // namespace sluice
