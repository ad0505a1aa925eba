#include "core/graph/executor.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/config/text.hpp"
#include "core/graph/call_operation.hpp"
#include "core/graph/executor_state.hpp"
#include "core/graph/parameter_use.hpp"
#include "core/graph/tensor_values.hpp"

namespace sluice {
namespace {

/// NaN stays.
void note_largest(double& known, double value) {
  if (value > known || std::isnan(value)) known = value;
}

}  // namespace

Executor::Executor(Network& network, const ExecutorOptions& options) {
  const detail::PlannedThreads threads = detail::adopt_threads();
  if (options.type == DataType::kBF16 && !cpu_has_bf16()) {
    throw Error(ExitCode::kEnvironment, concat("run.precision = bf16 needs a processor with AVX512_BF16, this one is ",
                                               cpu_description(), "; use run.precision = fp32"));
  }
  if (options.int8 && options.mode == Mode::kTraining) {
    throw Error(
        ExitCode::kUsage,
        "run.precision = int8 is for inference; train in fp32 or bf16, then run sluice-deploy --precision=int8");
  }
  if (options.int8 && network.calibration().empty()) {
    throw Error(ExitCode::kUsage,
                "run.precision = int8 needs a file that was deployed in int8; sluice-deploy CHECKPOINT.h5 -o "
                "DEPLOYABLE.h5 --precision=int8 makes one");
  }
  state_ = std::make_unique<State>(network, options);
  state_->threads = threads;
}

Executor::~Executor() = default;

const ExecutorOptions& Executor::options() const {
  return state_->options;
}

std::int64_t Executor::slice() const {
  return state_->plan.options.batch;
}

void Executor::set_batch(const float* images, const std::int32_t* labels) {
  state_->inputs.copy(BoundInputs::kImages, images);
  state_->inputs.copy(BoundInputs::kLabels, labels);
}

void Executor::lend_batch(const float* images, const std::int32_t* labels) {
  state_->inputs.lend(BoundInputs::kImages, images);
  state_->inputs.lend(BoundInputs::kLabels, labels);
}

void Executor::set_input(std::string_view name, const void* values) {
  const std::vector<NetworkInput>& known = state_->network.inputs();
  const auto found =
      std::find_if(known.begin(), known.end(), [&](const NetworkInput& input) { return input.name == name; });
  if (found != known.end()) return state_->inputs.lend(static_cast<std::size_t>(found - known.begin()), values);
  std::vector<std::string> names;
  for (const NetworkInput& input : known) names.push_back(input.name);
  throw Error(ExitCode::kUsage, concat("the network has no input '", name, "'; it has ", join(names)));
}

void Executor::refresh() {
  detail::adopt_threads(state_->threads);
  state_->network.require_parameters();
  for (std::size_t i = 0; i < state_->runtime.size(); ++i) state_->refresh(i);
}

void Executor::refresh_and_give_back() {
  State& s = *state_;
  assert(s.options.mode == Mode::kInference);
  detail::adopt_threads(s.threads);
  s.network.require_parameters();
  s.network.give_back_parameters(s.network.parameter_count(), s.user);
  s.copy_parameters();
  const std::vector<std::int64_t> from = packed_from(s.plan);
  // The last first: they have most of the weights, and these seldom grow as those of Winograd's algorithm do.
  for (std::size_t i = s.runtime.size(); i-- > 0;) {
    s.refresh(i);
    s.network.give_back_parameters(from[i], s.user);
    for (const int k : s.plan.operations[i].needs.packed_params)
      s.runtime[i].context.param[static_cast<std::size_t>(k)] = nullptr;
  }
  s.scratch.give_back(0);
}

void Executor::forward(std::uint64_t step) {
  if (!state_->inputs.is_given(BoundInputs::kImages))
    throw Error(ExitCode::kInternal, "an executor runs before it has images; call set_batch first");
  detail::adopt_threads(state_->threads);
  state_->each_slice([&] {
    state_->decided.begin();
    for (std::size_t i = 0; i < state_->runtime.size(); ++i) state_->forward(i, step);
    state_->decided.end();
  });
  if (state_->options.mode == Mode::kTraining) state_->auxiliary = state_->decided.auxiliary_forward();
}

void Executor::measure() {
  detail::adopt_threads(state_->threads);
  for (std::size_t i = 0; i < state_->runtime.size(); ++i) {
    const PlannedOperation& op = state_->plan.operations[i];
    Context& context = state_->runtime[i].context;
    call_refresh(state_->plan, op, context);
    call_measure(state_->plan, op, context);
    call_refresh(state_->plan, op, context);
    state_->forward(i, 0);
  }
}

std::string Executor::find_non_finite(std::uint64_t step) {
  std::string first;
  state_->each_slice([&] {
    for (std::size_t i = 0; i < state_->runtime.size(); ++i) {
      state_->forward(i, step);
      const Context& c = state_->runtime[i].context;
      if (!first.empty()) continue;  // to the end all the same: ranks that share a batch wait for each other
      if (all_finite(c.dst) && std::all_of(c.more_dst.begin(), c.more_dst.end(), all_finite)) continue;
      first = state_->network.nodes()[static_cast<std::size_t>(state_->plan.operations[i].nodes[0])].name;
    }
  });
  return first;
}

std::map<std::string, double> Executor::largest_sources() {
  std::map<std::string, double> largest;
  state_->each_slice([&] {
    for (std::size_t i = 0; i < state_->runtime.size(); ++i) {
      const std::vector<Tensor>& sources = state_->runtime[i].context.src;
      const std::string& name =
          state_->network.nodes()[static_cast<std::size_t>(state_->plan.operations[i].nodes[0])].name;
      if (!sources.empty()) note_largest(largest[name], largest_value(sources[0]));
      state_->forward(i, 0);
    }
  });
  return largest;
}

void Executor::backward(const FinalGradients& on_final) {
  State& s = *state_;
  std::memset(s.gradients.data(), 0, static_cast<std::size_t>(s.gradients.bytes()));
  s.decided.auxiliary_backward(s.gradients.as<float>());
  for (std::size_t i = s.runtime.size(); i-- > 0;) {
    if (!s.plan.operations[i].has_backward) continue;
    s.backward(i);
    if (on_final) on_final(s.runtime[i].final_from);
  }
}

void Executor::set_epochs(double epochs) {
  state_->decided.set_epochs(epochs);
}

double Executor::loss() const {
  return std::accumulate(state_->auxiliary.begin(), state_->auxiliary.end(), data_loss());
}

const std::vector<double>& Executor::auxiliary_losses() const {
  return state_->auxiliary;
}

double Executor::data_loss() const {
  return state_->data_loss;
}

Tensor Executor::logits() const {
  return result(state_->network.answer());
}

Tensor Executor::result(const NodeResult& which) const {
  if (which.is_input()) return state_->inputs.tensor(which.input());
  Tensor result = state_->tensor(state_->plan.tensor_of(which));
  if (state_->slices() > 1 && which == state_->network.answer()) {
    result.desc.shape[kN] = state_->options.batch;
    result.data = state_->answers.data();
  }
  return result;
}

const float* Executor::decisions(int node) const {
  for (std::size_t i = 0; i < state_->runtime.size(); ++i) {
    const PlannedOperation& op = state_->plan.operations[i];
    if (op.nodes[0] == node && op.needs.decisions) return state_->runtime[i].context.memory[*op.needs.decisions];
  }
  return nullptr;
}

float* Executor::gradients() const {
  return state_->gradients.as<float>();
}

const Statistics& Executor::statistics() const {
  return state_->statistics;
}

std::int64_t* Executor::counts(int node) const {
  return state_->statistics.counts(node);
}

double* Executor::sums(int node) const {
  return state_->statistics.sums(node);
}

void Executor::reset_statistics() {
  state_->statistics.clear();
}

void Executor::add_statistics(const Statistics& others) {
  state_->statistics.add(others);
}

std::vector<OperationInfo> Executor::operations() const {
  std::vector<OperationInfo> rows;
  for (std::size_t i = 0; i < state_->runtime.size(); ++i) {
    const PlannedOperation& op = state_->plan.operations[i];
    const State::Runtime& run = state_->runtime[i];
    const Node& node = state_->network.nodes()[static_cast<std::size_t>(op.nodes[0])];
    OperationInfo row;
    row.name = node.name;
    row.type = node.type;
    row.kernel = op.needs.kernel;
    row.alternatives = op.needs.alternatives;
    row.alternative = run.context.alternative;
    const auto of_batch = [&](Shape shape) {
      if (shape.rank() > 0 && shape[kN] == state_->plan.options.batch) shape[kN] = state_->options.batch;
      return shape;
    };
    for (const Tensor& src : run.context.src) row.src.push_back(of_batch(src.shape()));
    row.dst = of_batch(run.context.dst.shape());
    row.bytes = run.context.dst.desc.bytes() + op.needs.slots.used_bytes();
    for (const Tensor& more : run.context.more_dst) row.bytes += more.desc.bytes();
    row.refresh_ms = run.refresh_ms;
    row.forward_ms = run.forward_ms;
    row.backward_ms = run.backward_ms;
    for (std::size_t f = 1; f < op.nodes.size(); ++f) {
      row.fused.push_back(state_->network.nodes()[static_cast<std::size_t>(op.nodes[f])].name);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

void Executor::choose(std::size_t operation, int alternative) {
  assert(alternative >= 0 &&
         static_cast<std::size_t>(alternative) < state_->plan.operations[operation].needs.alternatives.size());
  state_->runtime[operation].context.alternative = alternative;
}

void Executor::set_profiling(bool on) {
  state_->profiling = on;
  for (State::Runtime& run : state_->runtime) run.refresh_ms = run.forward_ms = run.backward_ms = 0;
}

std::int64_t Executor::activation_bytes() const {
  return state_->memory.bytes() + state_->scratch.bytes();
}

std::int64_t Executor::kept_bytes() const {
  return state_->kept.bytes();
}

}  // namespace sluice
