// Whether activations lie in blocks of 16 channels.
#include "core/base/cpu.hpp"
#include "core/graph/passes/passes.hpp"

namespace sluice {

ExecutionPlan choose_layout(ExecutionPlan plan) {
  using Layout = ExecutorOptions::LayoutChoice;
  plan.blocked = plan.options.layout == Layout::kBlocked;
  if (plan.options.layout != Layout::kAuto) return plan;
  plan.blocked = cpu_isa() == Isa::kAvx512;
  for (const std::vector<Shape>& results : plan.shapes) {
    for (const Shape& s : results) {  // blocks need channel counts of whole blocks everywhere but at the input
      if (s.rank() == 4 && s[kH] * s[kW] > 1 && s[kC] % 16 != 0) plan.blocked = false;
    }
  }
  return plan;
}

}  // namespace sluice
