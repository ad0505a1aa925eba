#include "core/graph/executor.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>
#include <numeric>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/config/text.hpp"
#include "core/graph/bound_inputs.hpp"
#include "core/graph/call_operation.hpp"
#include "core/graph/decided_counts.hpp"
#include "core/graph/execution_plan.hpp"
#include "core/graph/parameter_use.hpp"
#include "core/graph/tensor_values.hpp"

namespace sluice {
namespace {

/// Adds the time of a scope to a counter, when there is one.
class Stopwatch {
 public:
  explicit Stopwatch(double* milliseconds) : milliseconds_(milliseconds) {
    if (milliseconds_ != nullptr) start_ = Clock::now();
  }
  ~Stopwatch() {
    if (milliseconds_ != nullptr)
      *milliseconds_ += std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  double* milliseconds_;
  Clock::time_point start_;
};

}  // namespace

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

  State(Network& n, const ExecutorOptions& o)
      : network(n),
        options(o),
        plan(plan_execution(n, o)),
        statistics(n),
        decided(n, statistics, o.batch, o.mode == Mode::kTraining, o.counted) {
    memory = Buffer(plan.memory.total_bytes());
    scratch = Buffer(plan.scratch_bytes);
    if (options.mode == Mode::kTraining) {
      gradients = Buffer(network.parameter_count() * 4);
      auxiliary.assign(network.auxiliary_losses().size(), 0.0);
    }
    allocate_kept();
    runtime.resize(plan.operations.size());
    for (std::size_t i = 0; i < runtime.size(); ++i) bind(plan.operations[i], runtime[i]);
    note_final_gradients();
    for (std::size_t i = 0; i < plan.inputs.size(); ++i) bind_input(i);
  }

  Tensor tensor(int index) const {
    if (index < 0) return {};
    const PlannedTensor& t = plan.tensors[static_cast<std::size_t>(index)];
    return {t.desc, t.request < 0 ? nullptr : memory.at(plan.memory.offset(t.request))};
  }

  void allocate_kept() {
    std::int64_t total = 0;
    for (const PlannedOperation& op : plan.operations) total += op.needs.slots.kept_bytes();
    kept = Buffer(total);
  }

  void bind_parameters(Context& context, int node_index) {
    const Node& node = network.nodes()[static_cast<std::size_t>(node_index)];
    for (int p : node.params) {
      const std::int64_t offset = network.parameters()[static_cast<std::size_t>(p)].offset;
      context.param.push_back(network.parameter_data() + offset);
      context.diff_param.push_back(gradients.data() != nullptr ? gradients.as<float>() + offset : nullptr);
    }
    for (int b : node.buffers) {
      context.buffer.push_back(network.buffer_data() + network.buffers()[static_cast<std::size_t>(b)].offset);
    }
    context.counts = statistics.counts(node_index);
    context.sums = statistics.sums(node_index);
    context.open_by_image = decided.open_by_image(node_index);
    context.diff_open = decided.diff_open(node_index);
  }

  void bind(const PlannedOperation& op, Runtime& run) {
    Context& c = run.context;
    for (int s : op.src) c.src.push_back(tensor(s));
    for (int i : op.inputs) c.inputs.push_back(tensor(i));
    c.dst = tensor(op.dst);
    for (int more : op.more_dst) c.more_dst.push_back(tensor(more));
    c.addend = tensor(op.addend);
    for (int g : op.diff_src) c.diff_src.push_back(tensor(g));
    for (int g : op.diff_dst) c.diff_dst.push_back(tensor(g));
    for (int g : op.more_diff_dst) c.more_diff_dst.push_back(tensor(g));
    if (op.declared.is_loss) c.diff_dst.push_back({{Shape{1}, DataType::kF32, 0}, &one});
    c.diff_addend = tensor(op.diff_addend);
    for (const std::vector<int>& sum : op.diff_dst_sums) {
      run.sums.emplace_back();
      for (int g : sum) run.sums.back().push_back(tensor(g));
    }
    bind_parameters(c, op.nodes[0]);
    for (int r : op.saved_requests) run.saved.push_back(memory.at(plan.memory.offset(r)));
    c.memory = Memory(kept.at(kept_used), scratch.at(0), run.saved.data());
    kept_used += op.needs.slots.kept_bytes();
    c.seed = options.seed;
    if (options.share.ranks != nullptr) c.share = &options.share;
    c.layer_index = static_cast<std::uint32_t>(op.nodes[0]);
    c.alternative = op.needs.alternative;
    if (op.levels_of >= 0) {
      Context reader;
      bind_parameters(reader, op.levels_of);
      const Node& node = network.nodes()[static_cast<std::size_t>(op.levels_of)];
      c.dst_scale = reader.buffer[static_cast<std::size_t>(node.declared.src_levels->buffer)];
    }
    run.copy_addend = op.needs.dst_starts_as_addend && op.addend >= 0 && c.addend.data != c.dst.data;
    bind_fused(op, run);
  }

  /// Parameters lie in the order of the layers, and belong to the first that uses them.
  void note_final_gradients() {
    std::int64_t end = 0;  // of what operations before this one have
    for (std::size_t i = 0; i < runtime.size(); ++i) {
      runtime[i].final_from = end;
      if (!plan.operations[i].has_backward) continue;
      for (const int node : plan.operations[i].nodes) {
        for (const int p : network.nodes()[static_cast<std::size_t>(node)].params) {
          const Parameter& parameter = network.parameters()[static_cast<std::size_t>(p)];
          end = std::max(end, parameter.offset + parameter.shape.count());
        }
      }
    }
  }

  void bind_input(std::size_t input) {
    const int read = plan.inputs[input].tensor;
    inputs.add(plan.inputs[input].given, tensor(read));
    const auto bind_reader = [&](int tensor, Tensor& place) {
      if (tensor == read) inputs.add_reader(input, place);
    };
    for (std::size_t i = 0; i < runtime.size(); ++i) {
      const PlannedOperation& op = plan.operations[i];
      Context& c = runtime[i].context;
      for (std::size_t k = 0; k < op.src.size(); ++k) bind_reader(op.src[k], c.src[k]);
      for (std::size_t k = 0; k < op.inputs.size(); ++k) bind_reader(op.inputs[k], c.inputs[k]);
      bind_reader(op.addend, c.addend);
    }
  }

  void bind_fused(const PlannedOperation& op, Runtime& run) {
    for (std::size_t f = 0; f < op.fused.size(); ++f) {
      Context parameters;
      bind_parameters(parameters, op.nodes[f + 1]);
      if (op.post_ops[f].kind == PostOp::Kind::kBound) {
        run.bound_parameter = parameters.param.at(0);
        run.context.bound = &run.bound;
      }
      if (op.post_ops[f].kind == PostOp::Kind::kAffine) run.affine.emplace_back(f, std::move(parameters));
    }
    if (run.affine.empty()) return;
    const auto channels = static_cast<std::size_t>(run.context.dst.shape()[kC]);
    run.scale.resize(channels);
    run.shift.resize(channels);
    scale.resize(std::max(scale.size(), channels));
    shift.resize(scale.size());
    run.context.affine_scale = run.scale.data();
    run.context.affine_shift = run.shift.data();
  }

  /// Puts the folded layers' scales and shifts together: (x * s1 + t1) * s2 + t2 = x * (s1 s2) + (t1 s2 + t2).
  void fold(const PlannedOperation& op, Runtime& run) {
    std::fill(run.scale.begin(), run.scale.end(), 1.0F);
    std::fill(run.shift.begin(), run.shift.end(), 0.0F);
    for (const auto& [f, parameters] : run.affine) {
      op.fused[f]->affine(parameters, static_cast<std::int64_t>(run.scale.size()), scale.data(), shift.data());
      for (std::size_t c = 0; c < run.scale.size(); ++c) {
        run.scale[c] *= scale[c];
        run.shift[c] = run.shift[c] * scale[c] + shift[c];
      }
    }
  }

  void refresh(std::size_t operation) {
    Runtime& run = runtime[operation];
    const Stopwatch watch(profiling ? &run.refresh_ms : nullptr);
    if (!run.affine.empty()) fold(plan.operations[operation], run);
    if (run.bound_parameter != nullptr) run.bound = *run.bound_parameter;
    call_refresh(plan, plan.operations[operation], run.context);
  }

  /// What operations read after refresh gets memory of its own; without the rest they do from here on.
  void copy_parameters() {
    const auto each = [this](const auto& use) {
      for (std::size_t i = 0; i < runtime.size(); ++i) {
        for (const std::size_t k : read_in_forward(plan.operations[i]))
          use(runtime[i].context.param[k], plan.operations[i].declared.parameters[k].shape.count() * 4);
      }
    };
    std::int64_t total = 0, used = 0;
    each([&](float*, std::int64_t bytes) { total += align_up(bytes); });
    own_parameters = Buffer(total);
    each([&](float*& parameter, std::int64_t bytes) {
      std::byte* const own = own_parameters.at(used);
      std::memcpy(own, parameter, static_cast<std::size_t>(bytes));
      parameter = reinterpret_cast<float*>(own);
      used += align_up(bytes);
    });
  }

  void forward(std::size_t operation, std::uint64_t step) {
    Runtime& run = runtime[operation];
    const Stopwatch watch(profiling ? &run.forward_ms : nullptr);
    run.context.step = step;
    if (run.copy_addend) copy_memory(run.context.addend, run.context.dst);
    call_forward(plan, plan.operations[operation], run.context);
  }

  Network& network;
  ExecutorOptions options;
  ExecutionPlan plan;
  Statistics statistics;
  DecidedCounts decided;
  Network::User user = network.user();
  Buffer memory, scratch, kept, gradients;
  Buffer own_parameters;  ///< copies of those that are read in forward, where the network has none
  std::int64_t kept_used = 0;
  std::vector<Runtime> runtime;
  std::vector<float> scale, shift;  ///< of one folded layer
  BoundInputs inputs;
  std::vector<double> auxiliary;  ///< losses beside the graph's own
  float one = 1.0F;
  bool profiling = false;
  detail::PlannedThreads threads;
};

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
  state_->decided.begin();
  for (std::size_t i = 0; i < state_->runtime.size(); ++i) state_->forward(i, step);
  state_->decided.end();
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
  for (std::size_t i = 0; i < state_->runtime.size(); ++i) {
    state_->forward(i, step);
    const Context& c = state_->runtime[i].context;
    if (!first.empty()) continue;  // to the end all the same: ranks that share a batch wait for each other
    if (all_finite(c.dst) && std::all_of(c.more_dst.begin(), c.more_dst.end(), all_finite)) continue;
    first = state_->network.nodes()[static_cast<std::size_t>(state_->plan.operations[i].nodes[0])].name;
  }
  return first;
}

std::map<std::string, double> Executor::largest_sources() {
  std::map<std::string, double> largest;
  for (std::size_t i = 0; i < state_->runtime.size(); ++i) {
    const std::vector<Tensor>& sources = state_->runtime[i].context.src;
    const std::string& name =
        state_->network.nodes()[static_cast<std::size_t>(state_->plan.operations[i].nodes[0])].name;
    if (!sources.empty()) largest[name] = largest_value(sources[0]);
    state_->forward(i, 0);
  }
  return largest;
}

void Executor::backward(const FinalGradients& on_final) {
  State& s = *state_;
  std::memset(s.gradients.data(), 0, static_cast<std::size_t>(s.gradients.bytes()));
  s.decided.auxiliary_backward(s.gradients.as<float>());
  for (std::size_t i = s.runtime.size(); i-- > 0;) {
    const PlannedOperation& op = s.plan.operations[i];
    if (!op.has_backward) continue;
    State::Runtime& run = s.runtime[i];
    const Stopwatch watch(s.profiling ? &run.backward_ms : nullptr);
    for (const std::vector<Tensor>& sum : run.sums) {
      for (std::size_t t = 1; t < sum.size(); ++t) add_into(sum[0], sum[t]);
    }
    call_backward(s.plan, op, run.context);
    if (on_final) on_final(run.final_from);
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
  double total = 0;
  for (std::size_t i = 0; i < state_->runtime.size(); ++i) {
    if (state_->plan.operations[i].declared.is_loss) total += *state_->runtime[i].context.dst.as<const float>();
  }
  return total;
}

Tensor Executor::logits() const {
  return result(state_->network.answer());
}

Tensor Executor::result(const NodeResult& which) const {
  if (!which.is_input()) return state_->tensor(state_->plan.tensor_of(which));
  return state_->inputs.tensor(which.input());
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
    for (const Tensor& src : run.context.src) row.src.push_back(src.shape());
    row.dst = run.context.dst.shape();
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
