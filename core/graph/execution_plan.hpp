// From a network to a list of operations: which layers are fused, which tensors exist, how long each lives. Internal to
// the executor.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/graph/executor.hpp"
#include "core/graph/memory_plan.hpp"

namespace sluice {

/// A tensor of the plan. `request` is its place in the memory plan; several tensors may share one.
struct PlannedTensor {
  TensorDesc desc;
  int producer = -1;  ///< operation, or -1: an input of the graph
  int request = -1;
  int last_use = -1;  ///< time
};

/// One layer with the layers it does as post-ops. Tensors are named by index, -1 means none.
struct PlannedOperation {
  std::vector<int> nodes;  ///< the layer's own node, then the fused ones in order
  std::unique_ptr<Layer> layer;
  std::vector<std::unique_ptr<Layer>> fused;
  Declarations declared;
  Setup setup;
  std::vector<int> src;
  int addend_node = kLabelsSource - 1;  ///< below every source: none
  int addend = -1;
  int dst = -1;

  bool needs_gradient = false;  ///< it or a layer before it has parameters
  bool has_backward = false;    ///< ... and its result reaches a loss
  std::vector<int> diff_src;
  std::vector<int> diff_dst;
  std::vector<int> diff_dst_terms;  ///< several gradients that the executor adds into the first before backward
  int diff_addend = -1;
  std::vector<int> saved_requests;
};

/// Times: operation i runs forward at time i and backward at time 2 * count - 1 - i; inputs are written at -1.
struct ExecutionPlan {
  std::vector<PlannedOperation> operations;
  std::vector<PlannedTensor> tensors;
  std::vector<int> tensor_of_node;  ///< -1 for nodes fused away
  int data = -1, labels = -1;
  MemoryPlan memory;
  std::int64_t scratch_bytes = 0;

  int backward_time(std::size_t operation) const {
    return 2 * static_cast<int>(operations.size()) - 1 - static_cast<int>(operation);
  }
};

/// Makes the layers, fuses them, settles layouts, sets them up and places their memory.
ExecutionPlan plan_execution(const Network& network, const ExecutorOptions& options);

}  // namespace sluice
