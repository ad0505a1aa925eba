// The transforms by kind: each function makes one from its arguments in the list.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/picture/transform.hpp"

namespace sluice {

/// The arguments of one transform, taken one after another. Throws Error(kUsage) with the reason alone.
class TransformArguments {
 public:
  TransformArguments(std::string name, std::vector<std::string> words)
      : name_(std::move(name)), words_(std::move(words)) {}

  bool more() const { return next_ < words_.size(); }
  /// The next number, which must lie in [low, high]; `fallback` where there are no more arguments.
  double number(const char* what, double low, double high, double fallback);
  double number(const char* what, double low, double high);
  std::int64_t integer(const char* what, std::int64_t low, std::int64_t high);
  std::int64_t integer(const char* what, std::int64_t low, std::int64_t high, std::int64_t fallback);
  /// "224" (a square) or "192x256" (height x width).
  PictureSize size(const char* what);
  /// Whether the next argument is "192x256" rather than "224".
  bool is_size() const;
  [[noreturn]] void refuse(const std::string& why) const;
  /// Throws where arguments are left.
  void end() const;

 private:
  const std::string& take(const char* what);

  std::string name_;
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

using TransformPtr = std::unique_ptr<const Transform>;

// geometry.cpp
TransformPtr make_resize(TransformArguments& arguments);
TransformPtr make_center_crop(TransformArguments& arguments);
TransformPtr make_pad_crop(TransformArguments& arguments);
TransformPtr make_random_resized_crop(TransformArguments& arguments);
TransformPtr make_flip(TransformArguments& arguments);
TransformPtr make_random_erasing(TransformArguments& arguments);

// color.cpp
TransformPtr make_color_jitter(TransformArguments& arguments);
TransformPtr make_grayscale(TransformArguments& arguments);

// auto_augment.cpp
TransformPtr make_rand_augment(TransformArguments& arguments);
TransformPtr make_trivial_augment(TransformArguments& arguments);

}  // namespace sluice
