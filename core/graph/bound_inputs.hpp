// Where the operations of an executor find what the network reads. Internal to the executor.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/buffer.hpp"
#include "core/graph/network.hpp"

namespace sluice {

/// Operations read an input where the program has it; one that they want in another type or layout is copied to memory
/// of the plan whenever it is given. Inputs have the numbers of Network::inputs.
class BoundInputs {
 public:
  /// Inputs are of so many slices as operations take, one behind the other.
  explicit BoundInputs(std::int64_t slices) : slices_(slices) {}

  static constexpr std::size_t kImages = 0, kLabels = 1;  ///< kDataSource and kLabelsSource

  /// The next input: as the program has it for a slice, by image or once for all of them, and the operations' own copy,
  /// whose data is null where they need none.
  void add(const TensorDesc& given, bool by_image, const Tensor& own);
  /// A tensor of an operation that is to show the input.
  void add_reader(std::size_t input, Tensor& place);
  /// Values that stay where they are until the next ones are given. Null: the input is absent; labels are then all 0.
  void lend(std::size_t input, const void* values);
  /// Values that do not stay. The first call for an input allocates.
  void copy(std::size_t input, const void* values);

  /// Operations see this slice of all inputs from now on.
  void show(std::int64_t slice);

  bool is_given(std::size_t input) const { return inputs_[input].given.data != nullptr; }
  /// As operations read it, or the whole batch where these read slices; data is null where it is absent.
  Tensor tensor(std::size_t input) const;

 private:
  struct Input {
    Tensor given;             ///< its data: of the first slice
    Tensor shown;             ///< of the slice that operations see
    std::int64_t slices = 1;  ///< of which it consists
    Tensor own;
    std::vector<Tensor*> readers;  ///< where operations need no copy
    Buffer copy;
  };

  static void show(Input& input, std::int64_t slice);

  std::int64_t slices_;
  std::vector<Input> inputs_;
  Buffer no_labels_;
};

}  // namespace sluice
