// References of the standard layers, by family. For standard_references() alone.
#pragma once

#include "tests/layers/harness/reference.hpp"

namespace sluice {

void add_pointwise_references(ReferenceTable& table);
void add_norm_references(ReferenceTable& table);
void add_linear_references(ReferenceTable& table);  ///< conv, linear, global_pool, pad_shortcut, zero_pad
void add_loss_references(ReferenceTable& table);
void add_pooling_references(ReferenceTable& table);
/// concat, split, channel_shuffle, flatten, dropout, stochastic_depth, pact_relu
void add_channel_references(ReferenceTable& table);
void add_quantized_references(ReferenceTable& table);

/// For tables: a factory of one class of references.
template <class Op>
ReferenceFactory reference() {
  return [](const ReferenceKeys& keys) { return std::make_unique<Op>(keys); };
}

}  // namespace sluice
