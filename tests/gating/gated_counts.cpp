#include "tests/gating/gated_counts.hpp"

#include "core/base/error.hpp"

namespace sluice {
namespace {

/// Open gates and all gates, by the reference.
struct GateCount {
  std::int64_t open = 0, total = 0;
};

GateCount count_gates(const Array& scores, const Shape& dst) {
  GateCount count;
  const std::int64_t channels = dst[kC];
  const std::int64_t pixels = dst.rank() == 4 ? dst[kH] * dst[kW] / (scores.shape[kH] * scores.shape[kW]) : 1;
  for (std::int64_t n = 0; n < scores.shape[kN]; ++n) {
    for (std::int64_t slice = 0; slice < scores.shape[kC]; ++slice) {
      const std::int64_t width = pixels * slice_range(slice, scores.shape[kC], channels).width();
      for (std::int64_t h = 0; h < scores.shape[kH]; ++h) {
        for (std::int64_t w = 0; w < scores.shape[kW]; ++w) {
          count.open += scores.at(n, slice, h, w) > 0 ? width : 0;
          count.total += width;
        }
      }
    }
  }
  return count;
}

GateCount reference_gates(const LayerCase& c, const CaseNetwork& built, const CaseBatch& batch, int node,
                          bool training) {
  ReferenceTable references = standard_references();
  for (const auto& entry : c.references) references[entry.first] = entry.second;
  ReferenceGraph graph(*built.network, references);
  graph.data = batch.data;
  graph.labels = batch.label_array;
  graph.forward(training);
  return count_gates(graph.scores[static_cast<std::size_t>(node)],
                     built.network->nodes()[static_cast<std::size_t>(node)].declared.dst);
}

int gated_node(const Network& network) {
  for (std::size_t v = 0; v < network.nodes().size(); ++v) {
    if (!network.nodes()[v].declared.counts.empty()) return static_cast<int>(v);
  }
  throw Error(ExitCode::kInternal, "the case has no gated layer");
}

TEST_P(GatedCounts, AreTheReferences) {
  const LayerCase& c = GetParam();
  CaseNetwork built(c.sources, c.layers, c.types);
  const int node = gated_node(*built.network);
  for (const Mode mode : {Mode::kTraining, Mode::kInference}) {
    for (const auto layout : {ExecutorOptions::LayoutChoice::kNhwc, ExecutorOptions::LayoutChoice::kBlocked}) {
      SCOPED_TRACE(concat(mode == Mode::kTraining ? "training" : "inference", ", layout ", static_cast<int>(layout)));
      const CaseBatch batch = fill(c, built, c.seed, false);
      const GateCount expected = reference_gates(c, built, batch, node, mode == Mode::kTraining);
      ASSERT_GT(expected.open, 0) << "the case has no open gate";
      ASSERT_LT(expected.open, expected.total) << "the case has no closed gate";
      ExecutorOptions options;
      options.mode = mode;
      options.layout = layout;
      options.batch = built.batch;
      Executor executor(*built.network, options);
      executor.set_batch(batch.nhwc.data(), batch.labels.data());
      executor.refresh();
      for (std::int64_t pass = 1; pass <= 2; ++pass) {  // they add up
        executor.forward();
        EXPECT_EQ(executor.counts(node)[0], pass * expected.open);
        EXPECT_EQ(executor.counts(node)[1], pass * expected.total);
      }
    }
  }
}

}  // namespace
}  // namespace sluice
