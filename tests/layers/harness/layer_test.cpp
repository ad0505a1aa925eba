#include "tests/layers/harness/layer_test.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/base/cpu.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"

namespace sluice {
namespace {

using Layout = ExecutorOptions::LayoutChoice;

/// Puts the number of threads back when a test ends.
class ThreadsGuard {
 public:
  ThreadsGuard() : before_(num_threads()) {}
  ~ThreadsGuard() { set_threads(before_); }
  ThreadsGuard(const ThreadsGuard&) = delete;
  ThreadsGuard& operator=(const ThreadsGuard&) = delete;

 private:
  int before_;
};

struct Variant {
  std::string name;
  ExecutorOptions options;
  int threads;
};

std::vector<Variant> variants(Mode mode, DataType type, std::int64_t batch) {
  ExecutorOptions base;
  base.mode = mode;
  base.batch = batch;
  base.type = type;
  base.seed = 5;
  std::vector<Variant> all;
  const auto add = [&](const char* layout_name, Layout layout, bool fuse, bool winograd, int threads) {
    ExecutorOptions options = base;
    options.layout = layout;
    options.fuse = fuse;
    options.winograd = winograd;
    all.push_back({concat(layout_name, fuse ? " fused" : " unfused", winograd ? " winograd, " : ", ", threads,
                          threads == 1 ? " thread" : " threads"),
                   options, threads});
  };
  add("nhwc", Layout::kNhwc, true, false, 1);
  add("nhwc", Layout::kNhwc, true, false, 2);
  add("nhwc", Layout::kNhwc, false, false, 1);
  add("blocked", Layout::kBlocked, true, false, 1);
  add("blocked", Layout::kBlocked, false, true, 2);
  add("blocked", Layout::kBlocked, true, true, 1);
  add("auto", Layout::kAuto, true, true, 2);
  return all;
}

bool uses_winograd(const Executor& executor) {
  for (const OperationInfo& row : executor.operations()) {
    if (row.kernel.find("wino") != std::string::npos) return true;
  }
  return false;
}

/// A case's network, filled, with its reference.
struct Subject {
  explicit Subject(const LayerCase& c)
      : layer_case(c), built(c.sources, c.layers, c.types), references(standard_references()) {
    for (const auto& entry : c.references) references[entry.first] = entry.second;
    graph = std::make_unique<ReferenceGraph>(network(), references);
    graph->seed = 5;
  }

  Network& network() const { return *built.network; }

  void draw(std::uint64_t seed, bool bf16 = false) { batch = fill(layer_case, built, seed, bf16); }

  /// The reference takes over the values drawn last.
  void load_reference() {
    graph->data = batch.data;
    graph->labels = batch.label_array;
    graph->load();
  }

  std::vector<float> buffers() const {
    return {network().buffer_data(), network().buffer_data() + network().buffer_count()};
  }
  void set_buffers(const std::vector<float>& values) {
    std::copy(values.begin(), values.end(), network().buffer_data());
  }
  /// The nodes whose results the executor stores as bf16.
  std::vector<bool> rounded_nodes(const Executor& executor) const {
    std::vector<bool> rounded;
    for (std::size_t v = 0; v < network().nodes().size(); ++v) {
      const Tensor result = executor.result(static_cast<int>(v));
      rounded.push_back(result.data != nullptr && result.desc.type == DataType::kBF16);
    }
    return rounded;
  }

  const LayerCase& layer_case;
  CaseNetwork built;
  ReferenceTable references;
  std::unique_ptr<ReferenceGraph> graph;
  CaseBatch batch;
  bool computed = false;  ///< the reference's results are those of the case
};

bool contains_type(const CaseNetwork& built, const std::string& type) {
  for (const Node& node : built.network->nodes()) {
    if (node.type == type) return true;
  }
  return std::find(built.composites.begin(), built.composites.end(), type) != built.composites.end();
}

void expect_result(const Subject& s, const Executor& executor, double tolerance) {
  EXPECT_TRUE(is_close(to_array(executor.logits()), s.graph->result(s.network().answer()), tolerance)) << "result";
  for (std::size_t v = 0; v < s.network().nodes().size(); ++v) {
    const Node& node = s.network().nodes()[v];
    if (!node.declared.is_loss) continue;
    double scale = 1;  // a sum of many terms of about 1
    for (double value : s.graph->result(node.src[0]).values) scale += std::abs(value);
    EXPECT_TRUE(is_close(to_array(executor.result(static_cast<int>(v))), s.graph->result(static_cast<int>(v)),
                         tolerance, scale))
        << node.name;
  }
  EXPECT_FALSE(std::isnan(executor.loss()));
}

void expect_buffers(const Subject& s, double tolerance) {
  for (std::size_t i = 0; i < s.network().buffers().size(); ++i) {
    const StateBuffer& b = s.network().buffers()[i];
    EXPECT_TRUE(is_close(to_array(b.shape, s.network().buffer_data() + b.offset), s.graph->buffers[i], tolerance))
        << "buffer " << b.path() << " after the step";
  }
}

void expect_gradients(const Subject& s, const Executor& executor, double tolerance) {
  double scale = 0;
  for (const Array& diff : s.graph->diff_params) {
    for (double value : diff.values) scale = s.layer_case.composed ? std::max(scale, std::abs(value)) : 0;
  }
  for (std::size_t i = 0; i < s.network().parameters().size(); ++i) {
    const Parameter& p = s.network().parameters()[i];
    EXPECT_TRUE(is_close(to_array(p.shape, executor.gradients() + p.offset), s.graph->diff_params[i], tolerance, scale))
        << "gradient of " << p.path();
  }
}

void step(Executor& executor) {
  executor.refresh();
  executor.forward(0);
  if (executor.options().mode == Mode::kTraining) executor.backward();
}

/// Bits of what a step leaves behind, where it is kept: result, gradients, buffers.
std::vector<float> outcome(const Subject& s, const Executor& executor) {
  std::vector<float> all;
  for (double value : to_array(executor.logits()).values) all.push_back(static_cast<float>(value));
  const auto append = [&](const float* values, std::int64_t count) { all.insert(all.end(), values, values + count); };
  if (executor.gradients() != nullptr) append(executor.gradients(), s.network().parameter_count());
  append(s.network().buffer_data(), s.network().buffer_count());
  return all;
}

/// Computes the reference of the values drawn last, unless it stands there already.
void compute_reference(Subject& s, const Executor& executor) {
  const std::vector<bool> rounded =
      executor.options().type == DataType::kBF16 ? s.rounded_nodes(executor) : std::vector<bool>{};
  if (s.computed && rounded == s.graph->rounded) return;
  const bool training = executor.options().mode == Mode::kTraining;
  s.graph->rounded = rounded;
  s.load_reference();
  s.graph->forward(training);
  if (training) s.graph->backward();
  s.computed = true;
}

/// Runs one variant over other values first, then over the case's own, twice.
void run_variant(Subject& s, Executor& executor) {
  const bool bf16 = executor.options().type == DataType::kBF16;
  s.draw(s.layer_case.seed + 1000, bf16);
  executor.set_batch(s.batch.nhwc.data(), s.batch.labels.data());
  step(executor);
  executor.forward(7);
  s.draw(s.layer_case.seed, bf16);
  compute_reference(s, executor);
  executor.set_batch(s.batch.nhwc.data(), s.batch.labels.data());
  const std::vector<float> buffers = s.buffers();
  step(executor);
  const std::vector<float> first = outcome(s, executor);
  s.set_buffers(buffers);
  step(executor);
  const std::vector<float> second = outcome(s, executor);
  EXPECT_EQ(std::memcmp(first.data(), second.data(), first.size() * sizeof(float)), 0)
      << "a repeated step gave other bits";
  if (executor.options().mode == Mode::kTraining) return;
  EXPECT_EQ(buffers, s.buffers()) << "inference wrote to a buffer";
}

void run_all(const LayerCase& c, Mode mode, DataType type) {
  const ThreadsGuard guard;
  Subject s(c);
  for (const Variant& variant : variants(mode, type, s.built.batch)) {
    SCOPED_TRACE(variant.name);
    set_threads(variant.threads);
    Executor executor(s.network(), variant.options);
    run_variant(s, executor);
    const double tolerance = type == DataType::kBF16   ? c.bf16_tolerance
                             : uses_winograd(executor) ? c.winograd_tolerance
                                                       : c.tolerance;
    expect_result(s, executor, tolerance);
    expect_buffers(s, tolerance);
    if (mode == Mode::kTraining) expect_gradients(s, executor, tolerance);
    if (::testing::Test::HasFailure()) return;  // one variant's story is enough
  }
}

TEST_P(LayerCases, ReferenceGradients) {
  Subject s(GetParam());
  ASSERT_TRUE(contains_type(s.built, GetParam().type)) << "the case's network has no such layer";
  if (GetParam().composed) return;
  s.draw(GetParam().seed);
  s.load_reference();
  ReferenceGraph& g = *s.graph;
  const std::vector<Array> buffers = g.buffers;
  const auto loss = [&] {
    g.buffers = buffers;
    g.forward(true);
    return g.loss();
  };
  loss();
  g.backward();
  g.held = true;
  const std::vector<Array> gradients = g.diff_params;
  constexpr double kStep = 1e-5;
  const std::vector<std::string>& surrogates = GetParam().surrogates;
  for (std::size_t p = 0; p < g.params.size(); ++p) {
    if (std::count(surrogates.begin(), surrogates.end(), s.network().parameters()[p].path()) > 0) continue;
    const std::int64_t count = g.params[p].count(), stride = std::max<std::int64_t>(1, count / 60);
    double largest = 0;
    for (double value : gradients[p].values) largest = std::max(largest, std::abs(value));
    for (std::int64_t i = 0; i < count; i += stride) {
      double& x = g.params[p][i];
      const double at = x;
      x = at + kStep;
      const double above = loss();
      x = at - kStep;
      const double below = loss();
      x = at;
      const double numeric = (above - below) / (2 * kStep), analytic = gradients[p][i];
      // Beside 1e-6 of the value: what rounding of the loss, a sum over everything, leaves of a difference.
      const double allowed = 1e-6 * std::max(std::abs(numeric), std::abs(analytic)) + 1e-8 * std::max(1.0, largest);
      EXPECT_TRUE(std::abs(numeric - analytic) <= allowed)
          << s.network().parameters()[p].path() << " at " << i << ": numeric " << numeric << ", reference " << analytic;
    }
  }
}

TEST_P(LayerCases, Training) {
  if (GetParam().inference_only) return;
  run_all(GetParam(), Mode::kTraining, DataType::kF32);
}

TEST_P(LayerCases, Inference) {
  run_all(GetParam(), Mode::kInference, DataType::kF32);
}

TEST_P(LayerCases, BFloat16) {
  if (GetParam().composed) return;
  if (!cpu_has_bf16()) GTEST_SKIP() << "this processor has no native bf16";
  if (!GetParam().inference_only) run_all(GetParam(), Mode::kTraining, DataType::kBF16);
  run_all(GetParam(), Mode::kInference, DataType::kBF16);
}

void set(float* to, const std::vector<double>& values, std::int64_t count, const std::string& what) {
  ASSERT_EQ(static_cast<std::int64_t>(values.size()), count)
      << "the case gives the wrong number of values for " << what;
  for (double value : values) *to++ = static_cast<float>(value);
}

Array expected_array(const Shape& shape, const std::vector<double>& values) {
  Array array(shape);
  array.values = values;
  EXPECT_EQ(static_cast<std::int64_t>(values.size()), shape.count()) << "the case expects the wrong number of values";
  array.values.resize(static_cast<std::size_t>(shape.count()));
  return array;
}

void set_state(const SemanticCase& c, CaseNetwork& built) {
  built.network->initialise(1);
  for (const CaseSource& source : c.sources) {
    if (source.name == "data") continue;
    const Parameter& p = built.parameter(source.name + "/value");
    set(built.network->parameter_data() + p.offset, source.values, p.shape.count(), source.name);
  }
  for (const auto& [path, values] : c.state) {
    if (built.has_parameter(path)) {
      const Parameter& p = built.parameter(path);
      set(built.network->parameter_data() + p.offset, values, p.shape.count(), path);
    } else {
      const StateBuffer& b = built.buffer(path);
      set(built.network->buffer_data() + b.offset, values, b.shape.count(), path);
    }
  }
  if (c.upstream.empty()) return;
  const StateBuffer& weights = built.buffer("test_loss/weights");
  set(built.network->buffer_data() + weights.offset, c.upstream, weights.shape.count(), "the upstream gradient");
}

void expect_meaning(const SemanticCase& c, const CaseNetwork& built, const Executor& executor) {
  const Network& network = *built.network;
  EXPECT_TRUE(is_close(to_array(executor.logits()), expected_array(c.shape, c.result), c.tolerance)) << "result";
  for (const auto& [path, values] : c.gradients) {
    const Parameter& p = built.parameter(path);
    EXPECT_TRUE(
        is_close(to_array(p.shape, executor.gradients() + p.offset), expected_array(p.shape, values), c.tolerance))
        << "gradient of " << path;
  }
  for (const auto& [path, values] : c.buffers_after) {
    const StateBuffer& b = built.buffer(path);
    EXPECT_TRUE(
        is_close(to_array(b.shape, network.buffer_data() + b.offset), expected_array(b.shape, values), c.tolerance))
        << path << " after the step";
  }
}

TEST_P(SemanticCases, Means) {
  const SemanticCase& c = GetParam();
  CaseNetwork built(c.sources, c.layers, c.types);
  ASSERT_TRUE(contains_type(built, c.type)) << "the case's network has no such layer";
  for (const Layout layout : {Layout::kNhwc, Layout::kBlocked}) {
    SCOPED_TRACE(layout == Layout::kNhwc ? "nhwc" : "blocked");
    set_state(c, built);
    if (HasFatalFailure()) return;
    ExecutorOptions options;
    options.mode = c.mode;
    options.batch = built.batch;
    options.layout = layout;
    Executor executor(*built.network, options);
    const std::vector<float> input(static_cast<std::size_t>(built.network->input_shape(built.batch).count()), 0.0F);
    executor.set_batch(input.data(), c.labels.empty() ? nullptr : c.labels.data());
    executor.refresh();
    executor.forward();
    if (c.mode == Mode::kTraining) executor.backward();
    expect_meaning(c, built, executor);
  }
}

}  // namespace
}  // namespace sluice
