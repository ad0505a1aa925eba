// Runs a network for one batch size: every primitive and every byte is made once, then steps repeat without allocating.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/distributed/batch_share.hpp"
#include "core/graph/network.hpp"

namespace sluice {

/// What a run wants of its executors.
struct ExecutorOptions {
  Mode mode = Mode::kInference;
  std::int64_t batch = 1;
  DataType type = DataType::kF32;  ///< of activations; kBF16 needs cpu_has_bf16()
  enum class LayoutChoice { kAuto, kNhwc, kBlocked };
  LayoutChoice layout = LayoutChoice::kAuto;
  bool winograd = true;           ///< allow Winograd convolutions where they are faster
  std::uint64_t seed = 0;         ///< of dropout
  bool fuse = true;               ///< let layers do their neighbours' work as post-ops
  bool record_decisions = false;  ///< inference: for decisions()
  BatchShare share;               ///< training: of batches whose statistics are those of all ranks together
  BatchShare counted;             ///< training: of batches whose counts are those of all ranks, for auxiliary losses
  bool skip = true;               ///< inference: let layers leave out work that their results do not need
  std::int64_t slice = 0;         ///< inference: run at most so many images at a time; 0: as slice_of() says
  /// Inference: let layers round weights and sources to int8 where that is faster; needs Network::calibration.
  bool int8 = false;
  /// Inference: by layer, the one of its ways (OperationInfo::alternatives) that will run, where that is known; the
  /// layer may leave the others out. What no layer has is passed over.
  std::map<std::string, std::string> kernels;
};

/// A row of the layer table: what one executed step is. Fused layers appear in the row of the layer that does their
/// work.
struct OperationInfo {
  std::string name;
  std::string type;
  std::vector<std::string> fused;  ///< names of the layers done on the way out
  std::string kernel;
  std::vector<Shape> src;
  Shape dst;
  std::int64_t bytes = 0;  ///< of the result, saved tensors and weights in kernel layouts, for the executor's batch
  std::vector<std::string> alternatives;  ///< ways in which it can run (OpNeeds::alternatives), and the one chosen
  int alternative = 0;
  double refresh_ms = 0, forward_ms = 0, backward_ms = 0;  ///< measured when profiling is on; sums over steps
};

/// Not thread-safe: one thread drives an executor. The network must outlive it; its parameters may change between
/// steps.
class Executor {
 public:
  Executor(Network& network, const ExecutorOptions& options);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  const ExecutorOptions& options() const;
  /// Images that run at a time: in training all of the batch.
  std::int64_t slice() const;

  /// Normalised images, N x H x W x C floats, and the class of each. Copies them in. Labels may be null when no loss is
  /// wanted.
  void set_batch(const float* images, const std::int32_t* labels);
  /// The same without a copy where layers take the images as they are: forward and backward read them where they lie,
  /// until the next batch is given.
  void lend_batch(const float* images, const std::int32_t* labels);
  /// Gives one of Network::inputs by its name, or with null takes away what a layer can do without. Each forward and
  /// backward reads the values where they lie (but images of another type or layout, which are copied here), in the
  /// shape and type that the layer declares for the executor's batch. Throws Error(kUsage) where there is no such
  /// input.
  void set_input(std::string_view name, const void* values);
  /// To be called when parameters (or, for inference, buffers) have changed.
  void refresh();
  /// Inference: the last refresh of an executor that is all its network is for. Parameters go back to the system as
  /// they are packed (OpNeeds::packed_params), others are copied: in the end the network has none
  /// (Network::has_parameters), and `refresh` throws Error(kInternal). So does this where the network has another
  /// executor.
  void refresh_and_give_back();
  /// One pass; afterwards `loss`, `logits` and the statistics speak of this batch. `step` addresses the random numbers
  /// of dropout.
  void forward(std::uint64_t step = 0);
  /// Training only, once after each forward (it reuses the memory of results that it no longer needs): the gradient of
  /// `loss()` with respect to every parameter; overwrites `gradients()`. `on_final(first)` is called after each
  /// operation, by this thread: the gradients from element `first` on are final. It may do with them what it likes.
  using FinalGradients = std::function<void(std::int64_t first)>;
  void backward(const FinalGradients& on_final = {});

  /// Of training: all of forward, with parameters on the way set that are measured (Init::measured), for this batch.
  void measure();
  /// Epochs of training that are done, for auxiliary losses that change with them.
  void set_epochs(double epochs);
  /// What backward differentiates: the loss nodes' results in the last forward, and in training every auxiliary loss of
  /// the network. A training loop need not know which there are.
  double loss() const;
  /// The loss nodes' results alone.
  double data_loss() const;
  /// The network's auxiliary losses in the last forward, in its order; in inference they are none.
  const std::vector<double>& auxiliary_losses() const;
  /// The network's answer, N x classes fp32 (Network::answer).
  Tensor logits() const;
  /// A result of any node that is not fused away; data is null otherwise. Unless it is the answer or a loss's, its
  /// memory is used again once all who read it have run, and it is that of the last slice. For tests and inspection.
  Tensor result(const NodeResult& which) const;
  /// With record_decisions: what a node that decides about its outputs decided in the last forward, 1 or 0 for each
  /// element of its result in the result's layout; null for other nodes.
  const float* decisions(int node) const;
  /// The arena of gradients, laid out like the parameters. Training only.
  float* gradients() const;

  /// What layers have counted since the last reset.
  const Statistics& statistics() const;
  /// Of one node, in the order of its declaration; may be set.
  std::int64_t* counts(int node) const;
  double* sums(int node) const;
  void reset_statistics();
  /// Adds what others have counted in the same network.
  void add_statistics(const Statistics& others);

  std::vector<OperationInfo> operations() const;
  /// Chooses one of OperationInfo::alternatives of an operation; results stay the same up to rounding.
  void choose(std::size_t operation, int alternative);
  void set_profiling(bool on);
  /// Runs the whole of forward again, looking at every result: the first layer whose result holds a NaN or an infinity,
  /// or "" if none does. Touches buffers as forward does.
  std::string find_non_finite(std::uint64_t step);
  /// Runs forward again, looking at what goes into every operation: by its first node's name, the largest number that
  /// its first source holds: 0 where none is above, NaN where one is not finite.
  std::map<std::string, double> largest_sources();
  /// Bytes of activations, saved tensors and scratch; and of weights in kernel layouts.
  std::int64_t activation_bytes() const;
  std::int64_t kept_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice
