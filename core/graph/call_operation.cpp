#include "core/graph/call_operation.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "core/base/error.hpp"

namespace sluice {
namespace {

[[noreturn]] void fail(const ExecutionPlan& plan, const PlannedOperation& op, const char* call, const char* why) {
  const Node& node = plan.own_node(op);
  throw Error(ExitCode::kUsage, concat(node.section.where("type"), ": ", node.type, " failed in ", call, ": ", why));
}

void call(const ExecutionPlan& plan, const PlannedOperation& op, const Context& context,
          void (Op::*member)(const Context&), const char* name) {
  const RedZones zones(op.needs.slots, context.memory);
  try {
    (op.op.get()->*member)(context);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const Error& error) {
    if (error.code() != ExitCode::kInternal) throw;
    fail(plan, op, name, error.what());
  } catch (const std::exception& error) {
    fail(plan, op, name, error.what());
  }
}

void check_counts(const ExecutionPlan& plan, const PlannedOperation& op, const std::int64_t* counts) {
  const auto check = [&](int open, int total) {
    if (open < 0 || counts[open] <= counts[total]) return;
    fail(plan, op, "forward",
         concat("it counts ", counts[open], " open outputs of ", counts[total], "; count every output once").c_str());
  };
  check(find_role(op.declared.counts, Role::kOpen), find_role(op.declared.counts, Role::kTotal));
  for (const CostTerm& term : op.declared.costs) check(term.open, term.total);
}

}  // namespace

void call_forward(const ExecutionPlan& plan, const PlannedOperation& op, const Context& context) {
  call(plan, op, context, &Op::forward, "forward");
  check_counts(plan, op, context.counts);
}

void call_backward(const ExecutionPlan& plan, const PlannedOperation& op, const Context& context) {
  call(plan, op, context, &Op::backward, "backward");
}

void call_measure(const ExecutionPlan& plan, const PlannedOperation& op, const Context& context) {
  call(plan, op, context, &Op::measure, "measure");
}

void call_refresh(const ExecutionPlan& plan, const PlannedOperation& op, Context& context) {
  const int last = std::max(0, static_cast<int>(op.needs.alternatives.size()) - 1);
  const int chosen = std::exchange(context.alternative, last);
  call(plan, op, context, &Op::refresh, "refresh");
  context.alternative = chosen;
}

}  // namespace sluice
