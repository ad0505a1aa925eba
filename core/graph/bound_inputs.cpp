#include "core/graph/bound_inputs.hpp"

#include <cstring>

namespace sluice {

void BoundInputs::add(const TensorDesc& given, bool by_image, const Tensor& own) {
  Input& input = inputs_.emplace_back();
  input.given.desc = input.shown.desc = given;
  if (by_image) input.slices = slices_;
  input.own = own;
  if (inputs_.size() == kLabels + 1) no_labels_ = Buffer(given.bytes() * slices_);
}

void BoundInputs::add_reader(std::size_t input, Tensor& place) {
  if (inputs_[input].own.data != nullptr) return;
  inputs_[input].readers.push_back(&place);
  if (input == kLabels) place.data = no_labels_.data();
}

void BoundInputs::lend(std::size_t input, const void* values) {
  Input& to = inputs_[input];
  to.given.data = const_cast<void*>(values == nullptr && input == kLabels ? no_labels_.data() : values);
  if (slices_ == 1) show(to, 0);  // else a slice at a time
}

void BoundInputs::show(Input& input, std::int64_t slice) {
  Tensor& part = input.shown;
  part.data = input.given.data;
  if (part.data != nullptr) part.data = part.as<std::uint8_t>() + slice * part.desc.bytes();
  if (input.own.data != nullptr && part.data != nullptr) copy_activation(part, input.own);
  for (Tensor* reader : input.readers) reader->data = part.data;
}

void BoundInputs::show(std::int64_t slice) {
  if (slices_ == 1) return;  // as they were given
  for (Input& input : inputs_) show(input, input.slices == 1 ? 0 : slice);
}

void BoundInputs::copy(std::size_t input, const void* values) {
  Input& to = inputs_[input];
  if (values == nullptr || (to.own.data != nullptr && to.slices == 1)) return lend(input, values);
  const std::int64_t bytes = to.given.desc.bytes() * to.slices;
  if (to.copy.data() == nullptr) to.copy = Buffer(bytes);
  std::memcpy(to.copy.data(), values, static_cast<std::size_t>(bytes));
  lend(input, to.copy.data());
}

Tensor BoundInputs::tensor(std::size_t input) const {
  const Input& from = inputs_[input];
  if (from.slices == 1 && from.own.data != nullptr && from.given.data != nullptr) return from.own;
  Tensor whole = from.given;
  if (from.slices > 1) whole.desc.shape[kN] *= from.slices;
  return whole;
}

}  // namespace sluice
