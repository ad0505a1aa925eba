// Values as bytes that cannot run into each other: numbers have 8 bytes, texts and lists are led by their length. For
// digests, and for what is sent to another process of this machine.
//
// A type of one's own takes part through describe_fields(fields, value), a template beside it that calls fields.add for
// each of its members: one list serves for writing and reading.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace sluice {
namespace detail {

template <class T>
struct FieldKind {
  static constexpr bool list = false, map = false, choice = false, maybe = false;
};
template <class T>
struct FieldKind<std::vector<T>> {
  static constexpr bool list = true, map = false, choice = false, maybe = false;
};
template <class T>
struct FieldKind<std::optional<T>> {
  static constexpr bool list = false, map = false, choice = false, maybe = true;
};
template <class T>
struct FieldKind<std::map<std::string, T>> {
  static constexpr bool list = false, map = true, choice = false, maybe = false;
};
template <class... T>
struct FieldKind<std::variant<T...>> {
  static constexpr bool list = false, map = false, choice = true, maybe = false;
};

/// Lists whose elements go as they lie in memory.
template <class T>
constexpr bool is_block = std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<float>> ||
                          std::is_same_v<T, std::vector<std::int32_t>>;

}  // namespace detail

/// Sink: write(const void*, bytes).
template <class Sink>
class FieldWriter {
 public:
  explicit FieldWriter(Sink& sink) : sink_(sink) {}

  template <class T>
  void add(const T& value) {
    using Kind = detail::FieldKind<T>;
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      add_number(value);
    } else if constexpr (detail::is_block<T>) {
      add_number(value.size());
      sink_.write(value.data(), static_cast<std::int64_t>(value.size() * sizeof(value[0])));
    } else if constexpr (Kind::list) {
      add_number(value.size());
      for (const auto& element : value) add(element);
    } else if constexpr (Kind::map) {
      add_number(value.size());
      for (const auto& [name, element] : value) add(name), add(element);
    } else if constexpr (Kind::choice) {
      add_number(value.index());
      std::visit([this](const auto& held) { add(held); }, value);
    } else if constexpr (Kind::maybe) {
      add_number(value.has_value());
      if (value) add(*value);
    } else {
      describe_fields(*this, value);
    }
  }

 private:
  template <class T>
  void add_number(T value) {
    if constexpr (std::is_floating_point_v<T>) {
      const double wide = value;
      sink_.write(&wide, sizeof(wide));
    } else {
      const auto wide = static_cast<std::int64_t>(value);
      sink_.write(&wide, sizeof(wide));
    }
  }

  Sink& sink_;
};

/// Source: read(void*, bytes), and reject() for a length that cannot be, which does not return. Nothing is trusted:
/// memory grows with what was read, not with what is announced.
template <class Source>
class FieldReader {
 public:
  explicit FieldReader(Source& source) : source_(source) {}

  template <class T>
  void add(T& value) {
    using Kind = detail::FieldKind<T>;
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      std::conditional_t<std::is_floating_point_v<T>, double, std::int64_t> wide{};
      source_.read(&wide, sizeof(wide));
      value = static_cast<T>(wide);
    } else if constexpr (detail::is_block<T>) {
      read_block(value);
    } else if constexpr (Kind::list) {
      value.clear();
      for (std::int64_t left = get_length(); left > 0; --left) add(value.emplace_back());
    } else if constexpr (Kind::map) {
      value.clear();
      for (std::int64_t left = get_length(); left > 0; --left) {
        std::string name = get<std::string>();
        add(value[std::move(name)]);
      }
    } else if constexpr (Kind::choice) {
      read_choice(value, get_length(), std::integral_constant<std::size_t, 0>{});
    } else if constexpr (Kind::maybe) {
      value.reset();
      if (get<bool>()) add(value.emplace());
    } else {
      describe_fields(*this, value);
    }
  }
  template <class T>
  T get() {
    T value{};
    add(value);
    return value;
  }

 private:
  std::int64_t get_length() {
    const auto length = get<std::int64_t>();
    if (length < 0) source_.reject();
    return length;
  }

  template <class T>
  void read_block(T& value) {
    constexpr std::int64_t kAtOnce = 1 << 20;
    value.clear();
    for (std::int64_t left = get_length(); left > 0;) {
      const std::int64_t here = std::min(left, kAtOnce), had = static_cast<std::int64_t>(value.size());
      value.resize(static_cast<std::size_t>(had + here));
      source_.read(value.data() + had, here * static_cast<std::int64_t>(sizeof(value[0])));
      left -= here;
    }
  }

  template <class Choice, std::size_t kIndex>
  void read_choice(Choice& value, std::int64_t index, std::integral_constant<std::size_t, kIndex>) {
    if constexpr (kIndex == std::variant_size_v<Choice>) {
      source_.reject();
    } else if (index == static_cast<std::int64_t>(kIndex)) {
      add(value.template emplace<kIndex>());
    } else {
      read_choice(value, index, std::integral_constant<std::size_t, kIndex + 1>{});
    }
  }

  Source& source_;
};

}  // namespace sluice
