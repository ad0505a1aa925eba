// The calls of an operation, as an executor makes them: whatever goes wrong in one names the layer. Internal to the
// executor.
#pragma once

#include "core/graph/execution_plan.hpp"

namespace sluice {

/// Errors but those of Sluice's own pass as Error(kUsage): "file:line: [layer.NAME] type: TYPE failed in forward: ...".
/// So do counts that cannot be: more open outputs than there are.
void call_forward(const ExecutionPlan& plan, const PlannedOperation& op, const Context& context);
void call_backward(const ExecutionPlan& plan, const PlannedOperation& op, const Context& context);
/// The operation finds its last alternative chosen, so that it can tell when it has fewer.
void call_measure(const ExecutionPlan& plan, const PlannedOperation& op, const Context& context);
void call_refresh(const ExecutionPlan& plan, const PlannedOperation& op, Context& context);

}  // namespace sluice
