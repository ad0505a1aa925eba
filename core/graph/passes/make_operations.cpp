// Each layer makes its operation.
#include <new>

#include "core/base/error.hpp"
#include "core/graph/onednn.hpp"
#include "core/graph/passes/factor_sources.hpp"
#include "core/graph/passes/passes.hpp"

namespace sluice {
namespace {

OpRequest request_of(const ExecutionPlan& plan, const PlannedOperation& op) {
  const ExecutorOptions& options = plan.options;
  OpRequest request;
  request.mode = options.mode;
  request.batch = options.batch;
  request.allow_winograd = options.winograd;
  request.record_decisions = options.record_decisions && !plan.training();
  request.may_skip = options.skip && !plan.training();
  request.post_ops = op.post_ops;
  for (int s : op.src) request.src.push_back(plan.tensor(s).desc);
  for (const NodeResult& s : plan.own_node(op).src)
    request.src_nonnegative.push_back(!s.is_input() && s.result == 0 && plan.node(s.node).declared.nonnegative);
  const auto way = options.kernels.find(plan.own_node(op).name);
  if (way != options.kernels.end()) request.way = way->second;
  if (options.int8) request.src_range = plan.network->calibration().range(plan.own_node(op).name);
  request.dst = plan.tensor(op.dst).desc;
  if (op.levels_of >= 0) request.dst_levels = plan.node(op.levels_of).declared.src_levels->count;
  for (int more : op.more_dst) request.more_dst.push_back(plan.tensor(more).desc);
  if (op.addend >= 0) request.addend = plan.tensor(op.addend).desc;
  for (std::size_t k = 0; k < op.src.size(); ++k)
    request.needs_diff_src.push_back(plan.training() && op.diff_src[k] >= 0);
  return request;
}

std::unique_ptr<Op> make_operation(const ExecutionPlan& plan, PlannedOperation& op) {
  const OpRequest request = request_of(plan, op);
  const ChannelFactors factors = channel_factors(plan, op);
  if (factors.empty()) return op.layer->make_op(request, op.needs);
  return skipping_layer(plan, op)->make_skipping_op(request, factors, op.needs);
}

[[noreturn]] void fail(const ExecutionPlan& plan, const PlannedOperation& op, const std::string& why) {
  const Node& node = plan.own_node(op);
  throw Error(ExitCode::kUsage,
              concat(node.section.where("type"), ": mistake in the layer type: make_op of ", node.type, " ", why));
}

}  // namespace

ExecutionPlan make_operations(ExecutionPlan plan) {
  for (PlannedOperation& op : plan.operations) {
    try {
      op.op = make_operation(plan, op);
    } catch (const dnnl::error& error) {
      throw Error(ExitCode::kUsage,
                  concat(plan.own_node(op).section.where("type"), ": oneDNN cannot compute this layer (", error.what(),
                         "); change its keys or the shape of its sources"));
    } catch (const Error&) {
      throw;
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      fail(plan, op, concat("threw: ", error.what()));
    }
    if (op.op == nullptr) fail(plan, op, "returns nothing; it has to return an operation");
    plan.scratch_bytes = std::max(plan.scratch_bytes, op.needs.slots.scratch_bytes());
  }
  return plan;
}

}  // namespace sluice
