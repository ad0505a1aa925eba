// The members of a checkpoint in order: for its digest, and for sending it from its reader (core/base/fields.hpp).
#pragma once

#include "core/base/fields.hpp"
#include "core/checkpoint/checkpoint.hpp"

namespace sluice {

template <class Sink>
void describe_fields(FieldWriter<Sink>& fields, const Shape& shape) {
  fields.add(shape.dims());
}
template <class Source>
void describe_fields(FieldReader<Source>& fields, Shape& shape) {
  shape = Shape(fields.template get<std::vector<std::int64_t>>());
}

template <class Fields, class Tensor>
auto describe_fields(Fields& fields, Tensor& tensor) -> decltype(fields.add(tensor.values)) {
  fields.add(tensor.path);
  fields.add(tensor.shape);
  fields.add(tensor.values);
  fields.add(tensor.alias_of);
}

template <class Fields, class Cost>
auto describe_fields(Fields& fields, Cost& cost) -> decltype(fields.add(cost.refines)) {
  fields.add(cost.macs);
  fields.add(cost.weight_bits);
  fields.add(cost.activation_bits);
  fields.add(cost.refines);
  fields.add(cost.open);
  fields.add(cost.total);
}

template <class Fields, class Set>
auto describe_fields(Fields& fields, Set& set) -> decltype(fields.add(set.images_digest)) {
  for (auto* size : {&set.images, &set.shape.channels, &set.shape.height, &set.shape.width}) fields.add(*size);
  fields.add(set.images_digest);
  fields.add(set.labels_digest);
}

template <class Fields, class Data>
auto describe_fields(Fields& fields, Data& data) -> decltype(fields.add(data.held_out.drawn_from)) {
  fields.add(data.training);
  for (auto* number : {&data.held_out.images, &data.held_out.seed, &data.held_out.drawn_from}) fields.add(*number);
  fields.add(data.test);
}

/// Everything but the kind and /run. `minor`: of the format, whose members are meant.
template <class Fields, class Document>
void describe_contents(Fields& fields, Document& checkpoint, int minor) {
  fields.add(checkpoint.tensors);
  fields.add(checkpoint.state);
  fields.add(checkpoint.history.columns);
  fields.add(checkpoint.history.rows);
  fields.add(checkpoint.config);
  fields.add(checkpoint.mean);
  fields.add(checkpoint.std);
  fields.add(checkpoint.class_names);
  fields.add(checkpoint.layer_names);
  fields.add(checkpoint.statistics);
  if (minor >= 1) {
    fields.add(checkpoint.evaluation);
    fields.add(checkpoint.costs);
  }
  if (minor >= 2) fields.add(checkpoint.kernels);
  if (minor >= 3) fields.add(checkpoint.ranges);
  if (minor >= 4) fields.add(checkpoint.data);
}

}  // namespace sluice
