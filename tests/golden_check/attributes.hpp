// GroupAttributes of a golden case as keys of a configuration.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/checkpoint/hdf5.hpp"
#include "core/graph/registry.hpp"

namespace sluice {

/// The attributes of a group, each as the text an INI file would have; notes which ones were used.
class GroupAttributes {
 public:
  explicit GroupAttributes(const Hdf5Group& group) : group_(group) {}

  bool has(const std::string& name) const { return group_.has_attribute(name); }
  std::string text(const std::string& name);
  double number(const std::string& name);
  std::int64_t integer(const std::string& name);
  bool flag(const std::string& name);
  /// Marks attributes that say nothing about how to build the network.
  void ignore(const std::vector<std::string>& names);
  /// "key = value" lines for the keys of a layer type among the attributes that nobody used before this case's types.
  std::string keys_of(const Registry& registry, const std::string& type);
  /// GroupAttributes that neither were used nor ignored.
  std::vector<std::string> unused() const;

 private:
  std::string ini_value(const std::string& name) const;

  const Hdf5Group& group_;
  std::set<std::string> used_;
};

}  // namespace sluice
