#include "core/graph/execution_plan.hpp"

#include "core/graph/passes/passes.hpp"

namespace sluice {

const Shape& ExecutionPlan::shape_of(const NodeResult& source) const {
  if (source.is_input()) return inputs[source.input()].given.shape;
  return shapes[static_cast<std::size_t>(source.node)][static_cast<std::size_t>(source.result)];
}

int ExecutionPlan::tensor_of(const NodeResult& source) const {
  if (source.is_input()) return inputs[source.input()].tensor;
  return result_tensors[static_cast<std::size_t>(source.node)][static_cast<std::size_t>(source.result)];
}

int ExecutionPlan::add_tensor(const TensorDesc& desc, int producer) {
  tensors.push_back({desc, producer, -1, -1});
  return static_cast<int>(tensors.size()) - 1;
}

ExecutionPlan plan_execution(const Network& network, const ExecutorOptions& options) {
  ExecutionPlan plan = list_operations(network, options);
  if (options.fuse) plan = fuse(std::move(plan));
  plan = choose_layout(std::move(plan));
  plan = make_tensors(std::move(plan));
  plan = choose_int8(std::move(plan));
  plan = choose_levels(std::move(plan));
  plan = plan_gradients(std::move(plan));
  plan = make_operations(std::move(plan));
  plan = find_lifetimes(std::move(plan));
  return place_memory(std::move(plan));
}

}  // namespace sluice
