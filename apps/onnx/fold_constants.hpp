// Operators on constants alone: the arithmetic of shapes that exporters write down, and weights that are turned or
// cast.
#pragma once

#include <limits>
#include <optional>
#include <vector>

#include "apps/onnx/read_model.hpp"

namespace sluice {

/// Stands in shapes for the number of images, where the model takes any.
constexpr std::int64_t kAnyBatch = std::numeric_limits<std::int64_t>::min();

constexpr std::size_t kMostAxes = 8;

class ConstantFolder {
 public:
  /// `held`: numbers in the model. What is computed may not be much more in all.
  explicit ConstantFolder(std::int64_t held) : left_(2 * held + kSpare) {}

  /// The result of an operator; nothing where it is none that is computed. `inputs`: null where one is left out. Throws
  /// Error(kCheckpoint) with the reason alone.
  std::optional<ForeignConstant> fold(const ForeignNode& node, const std::vector<const ForeignConstant*>& inputs);

 private:
  static constexpr std::int64_t kSpare = 1 << 20;
  std::int64_t left_;
};

/// An axis of a tensor of that rank, counted from its end where it is negative. Throws Error(kCheckpoint).
std::size_t axis_of(std::int64_t axis, std::size_t rank);
/// The sizes that a Reshape to `target` gives: -1 is the rest, 0 what stands there. Throws Error(kCheckpoint) where the
/// counts differ.
std::vector<std::int64_t> reshaped(const std::vector<std::int64_t>& from, const std::vector<std::int64_t>& target);

}  // namespace sluice
