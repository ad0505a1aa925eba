// What a layer is, in words and numbers that do not depend on its class: for those who write it down elsewhere.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace sluice {

/// The kind of operation ("convolution", "clip", ...; docs/architecture.md lists them) and its values by name.
/// An empty kind: the layer does not say.
class Attributes {
 public:
  using Value = std::variant<bool, std::int64_t, double, std::string>;

  Attributes() = default;
  explicit Attributes(std::string kind) : kind_(std::move(kind)) {}

  const std::string& kind() const { return kind_; }
  const std::map<std::string, Value>& values() const { return values_; }

  void set(const std::string& name, Value value) { values_[name] = std::move(value); }
  /// Nothing where there is no such value, or one of another type.
  template <class T>
  std::optional<T> get(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end() || !std::holds_alternative<T>(found->second)) return std::nullopt;
    return std::get<T>(found->second);
  }

 private:
  std::string kind_;
  std::map<std::string, Value> values_;
};

}  // namespace sluice
