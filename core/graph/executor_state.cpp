#include "core/graph/executor_state.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/stopwatch.hpp"
#include "core/graph/call_operation.hpp"
#include "core/graph/parameter_use.hpp"
#include "core/graph/slices.hpp"
#include "core/graph/tensor_values.hpp"

namespace sluice {
namespace {

ExecutorOptions for_slice(const Network& network, ExecutorOptions options) {
  options.batch = slice_of(network, options);
  return options;
}

}  // namespace

Executor::State::State(Network& n, const ExecutorOptions& o)
    : network(n),
      options(o),
      plan(plan_execution(n, for_slice(n, o))),
      statistics(n),
      decided(n, statistics, plan.options.batch, o.mode == Mode::kTraining, o.counted),
      inputs(slices()) {
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
  if (slices() > 1) answers = Buffer(slices() * tensor(plan.tensor_of(network.answer())).desc.bytes());
}

double Executor::State::loss_of_slice() const {
  double total = 0;
  for (std::size_t i = 0; i < runtime.size(); ++i) {
    if (plan.operations[i].declared.is_loss) total += *runtime[i].context.dst.as<const float>();
  }
  return total;
}

void Executor::State::keep_answer(std::int64_t slice) {
  if (slices() == 1) return;
  const PlannedTensor& answer = plan.tensor(plan.tensor_of(network.answer()));
  const std::int64_t bytes = answer.desc.bytes();
  std::memcpy(answers.at(slice * bytes), memory.at(plan.memory.offset(answer.request)),
              static_cast<std::size_t>(bytes));
}

Tensor Executor::State::tensor(int index) const {
  if (index < 0) return {};
  const PlannedTensor& t = plan.tensors[static_cast<std::size_t>(index)];
  return {t.desc, t.request < 0 ? nullptr : memory.at(plan.memory.offset(t.request))};
}

void Executor::State::allocate_kept() {
  std::int64_t total = 0;
  for (const PlannedOperation& op : plan.operations) total += op.needs.slots.kept_bytes();
  kept = Buffer(total);
}

void Executor::State::bind_parameters(Context& context, int node_index) {
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

void Executor::State::bind(const PlannedOperation& op, Runtime& run) {
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
void Executor::State::note_final_gradients() {
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

void Executor::State::bind_input(std::size_t input) {
  const int read = plan.inputs[input].tensor;
  const TensorDesc& given = plan.inputs[input].given;
  const bool by_image =
      given.shape.rank() > 0 && given.shape[kN] == plan.options.batch && network.inputs()[input].shape[kN] == 1;
  inputs.add(given, by_image, tensor(read));
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

void Executor::State::bind_fused(const PlannedOperation& op, Runtime& run) {
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
void Executor::State::fold(const PlannedOperation& op, Runtime& run) {
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

void Executor::State::refresh(std::size_t operation) {
  Runtime& run = runtime[operation];
  const Stopwatch watch(profiling ? &run.refresh_ms : nullptr);
  if (!run.affine.empty()) fold(plan.operations[operation], run);
  if (run.bound_parameter != nullptr) run.bound = *run.bound_parameter;
  call_refresh(plan, plan.operations[operation], run.context);
}

/// What operations read after refresh gets memory of its own; without the rest they do from here on.
void Executor::State::copy_parameters() {
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

void Executor::State::forward(std::size_t operation, std::uint64_t step) {
  Runtime& run = runtime[operation];
  const Stopwatch watch(profiling ? &run.forward_ms : nullptr);
  run.context.step = step;
  if (run.copy_addend) copy_memory(run.context.addend, run.context.dst);
  call_forward(plan, plan.operations[operation], run.context);
}

void Executor::State::backward(std::size_t operation) {
  Runtime& run = runtime[operation];
  const Stopwatch watch(profiling ? &run.backward_ms : nullptr);
  for (const std::vector<Tensor>& sum : run.sums) {
    for (std::size_t t = 1; t < sum.size(); ++t) add_into(sum[0], sum[t]);
  }
  call_backward(plan, plan.operations[operation], run.context);
}

}  // namespace sluice
