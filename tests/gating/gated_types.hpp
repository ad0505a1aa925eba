// What cases of gated layers are built from, and the references of these layers.
#pragma once

#include "tests/layers/harness/layer_case.hpp"

namespace sluice {

/// The standard types, and those of the plug-in.
void register_gated_types(Registry& registry);

/// A network from a whole configuration text.
struct GatedNetwork {
  explicit GatedNetwork(const std::string& text);
  Registry registry;
  std::unique_ptr<Network> network;
};

/// References of gated layers; see ReferenceCall::scores, which are N x slices x H x W here: the mean of q over each
/// decision's channels, open where it is above 0.
ReferenceTable gated_references();
void add_pg_reference(ReferenceTable& table);
void add_channel_decision_reference(ReferenceTable& table);

/// For LayerCase::prepare: moves thresholds (and brings running means closer) so that no decision of a case's gated
/// layers, in training or in evaluation, is so near to its edge that rounding to bf16 could change it, while some are
/// open and some closed in both modes (where images are decided about as a whole: in training). Throws where there is
/// no such place: choose another seed.
void clear_edges(Network& network, const CaseBatch& batch);

/// Channels of the decision number `slice`, where `slices` of them share `channels`.
struct SliceRange {
  std::int64_t begin, end;
  std::int64_t width() const { return end - begin; }
};
SliceRange slice_range(std::int64_t slice, std::int64_t slices, std::int64_t channels);

}  // namespace sluice
