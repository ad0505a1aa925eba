// What a composite is made of (CompositeFactory).
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "core/config/config.hpp"

namespace sluice {

/// A member's section, as if its keys were defaults.
inline Section member(const std::string& name, std::initializer_list<std::pair<const char*, std::string>> keys) {
  Section section(name, {});
  for (const auto& [key, value] : keys) {
    Entry entry;
    entry.key = key;
    entry.value = value;
    entry.origin = Entry::Origin::kDefault;
    section.set(entry);
  }
  return section;
}

}  // namespace sluice
