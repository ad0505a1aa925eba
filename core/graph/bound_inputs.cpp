#include "core/graph/bound_inputs.hpp"

#include <cstring>

namespace sluice {

void BoundInputs::add(const TensorDesc& given, const Tensor& own) {
  Input& input = inputs_.emplace_back();
  input.given.desc = given;
  input.own = own;
  if (inputs_.size() == kLabels + 1) no_labels_ = Buffer(given.bytes());
}

void BoundInputs::add_reader(std::size_t input, Tensor& place) {
  if (inputs_[input].own.data != nullptr) return;
  inputs_[input].readers.push_back(&place);
  if (input == kLabels) place.data = no_labels_.data();
}

void BoundInputs::lend(std::size_t input, const void* values) {
  Input& to = inputs_[input];
  to.given.data = const_cast<void*>(values == nullptr && input == kLabels ? no_labels_.data() : values);
  if (to.own.data != nullptr && values != nullptr) copy_activation(to.given, to.own);
  for (Tensor* reader : to.readers) reader->data = to.given.data;
}

void BoundInputs::copy(std::size_t input, const void* values) {
  Input& to = inputs_[input];
  if (values == nullptr || to.own.data != nullptr) return lend(input, values);
  if (to.copy.data() == nullptr) to.copy = Buffer(to.given.desc.bytes());
  std::memcpy(to.copy.data(), values, to.given.desc.bytes());
  lend(input, to.copy.data());
}

Tensor BoundInputs::tensor(std::size_t input) const {
  const Input& from = inputs_[input];
  return from.own.data != nullptr && from.given.data != nullptr ? from.own : from.given;
}

}  // namespace sluice
