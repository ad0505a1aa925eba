// What an executor holds: a plan, memory for it, and each operation bound to both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/buffer.hpp"
#include "core/base/parallel.hpp"
#include "core/graph/bound_inputs.hpp"
#include "core/graph/decided_counts.hpp"
#include "core/graph/execution_plan.hpp"
#include "core/graph/executor.hpp"

namespace sluice {

struct Executor::State {
  /// What one operation needs at run time besides its plan.
  struct Runtime {
    Context context;
    std::vector<std::byte*> saved;          ///< places of the operation's saved slots
    std::vector<std::vector<Tensor>> sums;  ///< gradients to add into their first before backward
    bool copy_addend = false;
    std::int64_t final_from = 0;      ///< element of the gradients from which on none changes after its backward
    std::vector<float> scale, shift;  ///< folded kAffine post-ops
    std::vector<std::pair<std::size_t, Context>> affine;  ///< index into plan.fused, and that layer's parameters
    const float* bound_parameter = nullptr;               ///< of a kBound post-op, and its value at the last refresh
    float bound = 0;
    double refresh_ms = 0, forward_ms = 0, backward_ms = 0;
  };

  State(Network& n, const ExecutorOptions& o);

  /// A tensor of the plan, in its memory; of a negative index nothing.
  Tensor tensor(int index) const;

  /// Of inference: the batch runs in so many parts of the plan's size, one after the other.
  std::int64_t slices() const { return options.batch / plan.options.batch; }
  /// Calls run() for each slice; then the answer and the loss are those of the batch.
  template <class Run>
  void each_slice(Run&& run);

  // One operation:
  void refresh(std::size_t operation);
  void forward(std::size_t operation, std::uint64_t step);
  void backward(std::size_t operation);

  /// What operations read after refresh gets memory of its own; without the rest they do from here on.
  void copy_parameters();

  Network& network;
  ExecutorOptions options;
  ExecutionPlan plan;
  Statistics statistics;
  DecidedCounts decided;
  Network::User user = network.user();
  Buffer memory, scratch, kept, gradients;
  Buffer own_parameters;  ///< copies of those that are read in forward, where the network has none
  Buffer answers;         ///< of all slices, where there are several
  std::int64_t kept_used = 0;
  std::vector<Runtime> runtime;
  std::vector<float> scale, shift;  ///< of one folded layer
  BoundInputs inputs;
  std::vector<double> auxiliary;  ///< losses beside the graph's own
  double data_loss = 0;           ///< the graph's own
  float one = 1.0F;
  bool profiling = false;
  detail::PlannedThreads threads;

 private:
  void allocate_kept();
  void bind(const PlannedOperation& op, Runtime& run);
  void bind_parameters(Context& context, int node_index);
  void bind_fused(const PlannedOperation& op, Runtime& run);
  void bind_input(std::size_t input);
  void note_final_gradients();
  void fold(const PlannedOperation& op, Runtime& run);
  double loss_of_slice() const;
  void keep_answer(std::int64_t slice);
};

template <class Run>
void Executor::State::each_slice(Run&& run) {
  data_loss = 0;
  for (std::int64_t slice = 0; slice < slices(); ++slice) {
    inputs.show(slice);
    run();
    data_loss += loss_of_slice() / static_cast<double>(slices());
    keep_answer(slice);
  }
}

}  // namespace sluice
