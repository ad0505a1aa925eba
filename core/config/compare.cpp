#include "core/config/compare.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/config/number_in.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

/// "yes" for all words that mean it, "no" likewise, other texts as they are.
std::string plain_word(const std::string& text) {
  if (text == "yes" || text == "true" || text == "on") return "yes";
  if (text == "no" || text == "false" || text == "off") return "no";
  return text;
}

bool same_item(const std::string& a, const std::string& b) {
  if (plain_word(a) == plain_word(b)) return true;
  const std::optional<double> x = number_in(a), y = number_in(b);
  return x && y && *x == *y;
}

bool same_items(const std::vector<std::string>& items, const std::vector<std::string>& others) {
  return std::equal(items.begin(), items.end(), others.begin(), others.end(), same_item);
}

const Entry* find_in(const std::vector<Entry>& entries, const std::string& key) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

/// It stands in a file or on the command line (others are made by who asks for them), and a run depends on it.
bool is_written_and_decides(const Section& section) {
  const std::vector<std::string>& keys = section.known_keys();
  const auto decides = [&](const std::string& key) { return section.role_of(key).role == KeyRole::kDecides; };
  return (section.source().line > 0 || !section.entries().empty()) &&
         (keys.empty() || std::any_of(keys.begin(), keys.end(), decides));
}

bool is_default(const Section& section, const Entry& entry) {
  if (entry.origin == Entry::Origin::kDefault) return true;
  const std::optional<std::string> value = section.default_of(entry.key);
  return value && same_items(list_or_item(*value), entry.items());
}

void compare_sections(const Section& before, const Section& now, std::vector<Change>& changes) {
  const std::vector<Entry> olds = before.resolved_entries(), news = now.resolved_entries();
  for (const Entry& entry : news) {
    const Entry* old = find_in(olds, entry.key);
    if (old == nullptr) old = find_in(olds, now.old_name_of(entry.key));
    if (old == nullptr ? is_default(now, entry) : same_items(old->items(), entry.items())) continue;
    changes.push_back({now.name(), entry.key, old == nullptr ? std::nullopt : std::optional<std::string>(old->value),
                       entry.value, now.role_of(entry.key)});
  }
  const std::vector<std::string>& known = now.known_keys();
  for (const Entry& entry : olds) {
    const bool readable = known.empty() || std::find(known.begin(), known.end(), entry.key) != known.end();
    if (!readable || find_in(news, entry.key) != nullptr) continue;
    changes.push_back({now.name(), entry.key, entry.value, std::nullopt, now.role_of(entry.key)});
  }
}

std::string layers_of(const Config& config) {
  std::string names;
  for (const Section& section : config.sections()) {
    if (starts_with(section.name(), "layer.")) names += (names.empty() ? "" : ", ") + section.name().substr(6);
  }
  return names;
}

}  // namespace

std::string to_string(const Change& change) {
  if (change.key.empty())
    return concat("[", change.section, "]: ", change.before ? "present -> absent" : "absent -> present");
  return concat("[", change.section, "] ", change.key, ": ", change.before.value_or("(absent)"), " -> ",
                change.now.value_or("(absent)"));
}

std::vector<Change> compare(const Config& before, const Config& now) {
  std::vector<Change> changes;
  bool same_sections = true;
  for (const Section& section : now.sections()) {
    const std::size_t others = changes.size();
    const Section* old = before.find(section.name());
    compare_sections(old != nullptr ? *old : Section(section.name(), {}), section, changes);
    if (old != nullptr || !is_written_and_decides(section)) continue;
    changes.resize(others);
    changes.push_back({section.name(), "", std::nullopt, "", {}});
    same_sections = false;
  }
  for (const Section& section : before.sections()) {
    if (now.find(section.name()) != nullptr) continue;
    changes.push_back({section.name(), "", "", std::nullopt, {}});
    same_sections = false;
  }
  const std::string layers = layers_of(before), ordered = layers_of(now);
  if (same_sections && layers != ordered) changes.push_back({"network", "order of layers", layers, ordered, {}});
  return changes;
}

}  // namespace sluice
