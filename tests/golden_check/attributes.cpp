#include "tests/golden_check/attributes.hpp"

#include <sstream>

#include "core/base/error.hpp"

namespace sluice {

std::string GroupAttributes::text(const std::string& name) {
  used_.insert(name);
  return group_.text_attribute(name).at(0);
}

double GroupAttributes::number(const std::string& name) {
  used_.insert(name);
  return group_.attribute<double>(name).at(0);
}

std::int64_t GroupAttributes::integer(const std::string& name) {
  used_.insert(name);
  return group_.attribute<std::int64_t>(name).at(0);
}

bool GroupAttributes::flag(const std::string& name) {
  return integer(name) != 0;
}

void GroupAttributes::ignore(const std::vector<std::string>& names) {
  used_.insert(names.begin(), names.end());
}

std::string GroupAttributes::ini_value(const std::string& name) const {
  const ElementType type = group_.attribute_type(name);
  if (type.kind == ElementType::Kind::kText) return group_.text_attribute(name).at(0);
  std::ostringstream text;
  text.precision(17);
  if (type.kind == ElementType::Kind::kFloat) {
    text << group_.attribute<double>(name).at(0);
  } else if (type.bytes == 1) {  // booleans are stored in one byte
    text << (group_.attribute<std::int64_t>(name).at(0) != 0 ? "yes" : "no");
  } else {
    text << group_.attribute<std::int64_t>(name).at(0);
  }
  return text.str();
}

std::string GroupAttributes::keys_of(const Registry& registry, const std::string& type) {
  std::string lines;
  for (const KeyDoc& key : registry.keys(type)) {
    if (key.name == "scales") lines += "scales = dynamic\n";  // evaluation as published
    for (const std::string& name : {key.name, key.old_name}) {
      if (name.empty() || !has(name)) continue;
      lines += key.name + " = " + ini_value(name) + "\n";
      used_.insert(name);
    }
  }
  return lines;
}

std::vector<std::string> GroupAttributes::unused() const {
  std::vector<std::string> names;
  for (const std::string& name : group_.attributes()) {
    if (used_.count(name) == 0) names.push_back(name);
  }
  return names;
}

}  // namespace sluice
