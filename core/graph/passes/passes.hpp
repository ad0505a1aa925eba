// The passes of a plan, in the order in which they run: each takes a plan and gives one in which more is settled. None
// but make_operations touches oneDNN, and none allocates what a step works in.
#pragma once

#include "core/graph/execution_plan.hpp"

namespace sluice {

/// An operation for every node of the network, with shapes for the batch, and the inputs.
ExecutionPlan list_operations(const Network& network, const ExecutorOptions& options);
/// Operations that are post-ops of others are done by these.
ExecutionPlan fuse(ExecutionPlan plan);
/// Whether activations lie in blocks of 16 channels.
ExecutionPlan choose_layout(ExecutionPlan plan);
/// A tensor for every input and every result, in floating point.
ExecutionPlan make_tensors(ExecutionPlan plan);
/// Inference in int8: which results lie in memory in int8.
ExecutionPlan choose_int8(ExecutionPlan plan);
/// Inference: which results lie in memory in the levels that their readers round them to.
ExecutionPlan choose_levels(ExecutionPlan plan);
/// Training: which gradients are computed, and whose are added.
ExecutionPlan plan_gradients(ExecutionPlan plan);
/// Each layer makes its operation. Throws Error(kUsage) where oneDNN cannot compute one.
ExecutionPlan make_operations(ExecutionPlan plan);
/// When each tensor is read for the last time.
ExecutionPlan find_lifetimes(ExecutionPlan plan);
/// The place of each tensor and each saved slot in one block of memory.
ExecutionPlan place_memory(ExecutionPlan plan);

}  // namespace sluice
