// Channel-gated convolution against its reference, and how many gates it counts as open.
#include "core/base/error.hpp"
#include "tests/gating/gated_counts.hpp"
#include "tests/gating/gated_types.hpp"
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

std::string cg(const std::string& keys) {
  return "[layer.cg]\ntype = cg_conv\n" + keys + "\n";
}

void add(std::vector<LayerCase>& cases, const std::string& name, const Shape& shape, const std::string& keys) {
  cases.push_back({"cg_conv", name, {{"x", shape}}, cg(keys)});
}

std::vector<LayerCase> path_cases() {
  std::vector<LayerCase> cases;
  const Shape odd{2, 3, 5, 7};
  add(cases, "one_input_each", odd, "channels = 4\nkernel = 3\nstride = 2\npad = 1\npartitions = 3");
  add(cases, "all_base", {2, 5, 4, 5}, "channels = 6\nkernel = 3\npartitions = 1");
  add(cases, "rest_of_division", {2, 7, 5, 3}, "channels = 9\nkernel = 1\npartitions = 3");
  add(cases, "group", {2, 8, 5, 4}, "channels = 12\nkernel = 3\npad = 1\nown_chunk = yes");
  add(cases, "group_of_one", {2, 4, 5, 4}, "channels = 4\nkernel = 3\npad = 1\nown_chunk = yes");
  add(cases, "shuffle", {2, 6, 5, 7}, "channels = 5\nkernel = 5\npad = 2\npartitions = 3\nshuffle = yes");
  add(cases, "group_shuffle", {2, 8, 5, 7},
      "channels = 12\nkernel = 3\npad = 1\nstride = 2\npartitions = 2\nown_chunk = yes\nshuffle = yes");
  add(cases, "dilation", {2, 4, 9, 8}, "channels = 5\nkernel = 3\npad = 2\ndilation = 2\nstride = 2");
  add(cases, "large_filter", {2, 4, 7, 9}, "channels = 3\nkernel = 5\npad = 3\nstride = 2");
  add(cases, "pointwise_stride", {3, 16, 5, 7}, "channels = 32\nkernel = 1\nstride = 2\nown_chunk = yes");
  add(cases, "blocks", {2, 32, 4, 5}, "channels = 48\nkernel = 3\npad = 1\nstride = 2\npartitions = 8");
  add(cases, "winograd", {2, 32, 5, 7}, "channels = 32\nkernel = 3\npad = 1\nown_chunk = yes");
  add(cases, "winograd_groups", {1, 64, 4, 4}, "channels = 64\nkernel = 3\npad = 1\nown_chunk = yes");
  add(cases, "winograd_first_inputs", {1, 48, 4, 8}, "channels = 32\nkernel = 3\npad = 1\npartitions = 3");
  add(cases, "eight", {2, 8, 4, 5}, "channels = 8\nkernel = 3\npad = 1");  // both products fill one block
  add(cases, "from_tail_to_blocks", {2, 6, 6, 5}, "channels = 32\nkernel = 3\npad = 1\npartitions = 2");
  add(cases, "from_blocks_to_tail", {2, 32, 4, 3}, "channels = 20\nkernel = 3\npad = 1");
  add(cases, "many_rows", {1, 4, 17, 19}, "channels = 3\nkernel = 1\nsparse_backprop = yes");  // chunks of the sums
  add(cases, "one_pixel", {5, 4, 1, 1}, "channels = 6\nkernel = 1\npartitions = 2");
  cases.push_back({"cg_conv",
                   "first_layer",
                   {{"data", {2, 4, 5, 7}}},
                   cg("channels = 16\nkernel = 3\npad = 1\npartitions = 2\nsparse_backprop = yes")});
  return cases;
}

std::vector<LayerCase> gate_cases() {
  std::vector<LayerCase> cases;
  const Shape odd{2, 4, 5, 7};
  const std::string keys = "channels = 6\nkernel = 3\npad = 1\n";
  add(cases, "sparse", odd, keys + "sparse_backprop = yes");
  add(cases, "alpha", odd, keys + "alpha = 5");
  add(cases, "alpha_small", odd, keys + "alpha = 0.25\nsparse_backprop = yes");
  add(cases, "threshold_init", odd, keys + "threshold_init = -0.5");
  add(cases, "normalisation", odd, keys + "gate_eps = 0.01\ngate_momentum = 0.3");
  add(cases, "frozen_statistics", odd, keys + "gate_momentum = 0");
  for (const char* granularity : {"element", "slice", "pixel"}) {
    for (const int width : {5, 16, 20, 48}) {
      const bool whole = width % 16 == 0;  // blocks
      add(cases, concat(granularity, "_", width), {2, whole ? 16 : 6, 4, 3},
          concat("channels = ", width, "\nkernel = ", width == 20 ? 3 : 1, "\npartitions = 2\ngranularity = ",
                 granularity, "\nsparse_backprop = ", width == 16 || width == 20 ? "yes" : "no"));
    }
  }
  return cases;
}

/// One decision for a channel of an image.
std::vector<LayerCase> channel_cases() {
  std::vector<LayerCase> cases;
  const std::string keys = "granularity = channel\n";
  add(cases, "channel", {5, 6, 4, 3}, keys + "channels = 5\nkernel = 1\npartitions = 2");
  add(cases, "channel_sparse", {5, 4, 5, 7}, keys + "channels = 6\nkernel = 3\nstride = 2\nsparse_backprop = yes");
  add(cases, "channel_blocks", {4, 16, 4, 3}, keys + "channels = 48\nkernel = 3\npad = 1\nown_chunk = yes");
  add(cases, "channel_tail", {5, 6, 4, 5}, keys + "channels = 20\nkernel = 3\npad = 1\npartitions = 3\nshuffle = yes");
  add(cases, "channel_many_rows", {3, 4, 17, 19}, keys + "channels = 3\nkernel = 1\npartitions = 2");
  cases.back().tolerance = 1e-5;  // sums over many
  add(cases, "channel_two_norms", {5, 4, 5, 3}, keys + "channels = 6\nkernel = 3\npad = 1\ntwo_norms = yes");
  add(cases, "channel_one_pixel", {7, 4, 1, 1}, keys + "channels = 6\nkernel = 1\npartitions = 2");
  return cases;
}

std::vector<LayerCase> norm_cases() {
  std::vector<LayerCase> cases;
  const std::string keys = "kernel = 3\npad = 1\ntwo_norms = yes\n";
  add(cases, "two_norms", {2, 4, 5, 7}, keys + "channels = 6");
  add(cases, "two_norms_sparse", {2, 4, 5, 7}, keys + "channels = 5\nsparse_backprop = yes\ngate_momentum = 0.3");
  add(cases, "two_norms_keys", {2, 4, 3, 5}, keys + "channels = 6\nalpha = 1\ngate_eps = 0.01");
  add(cases, "two_norms_group_shuffle", {2, 8, 5, 4}, keys + "channels = 12\nown_chunk = yes\nshuffle = yes");
  add(cases, "two_norms_sixteen", {2, 16, 4, 5}, keys + "channels = 16");
  add(cases, "two_norms_blocks", {2, 32, 4, 3}, keys + "channels = 32\nown_chunk = yes\nstride = 2");
  add(cases, "two_norms_many_rows", {1, 4, 17, 19}, keys + "channels = 3");  // chunks of the sums
  for (const char* granularity : {"slice", "pixel"}) {
    add(cases, concat("two_norms_", granularity), {2, 6, 4, 3},
        concat(keys, "channels = 20\ngranularity = ", granularity));
    add(cases, concat("two_norms_", granularity, "_blocks"), {2, 32, 4, 3},
        concat(keys, "channels = 48\nsparse_backprop = yes\ngranularity = ", granularity));
  }
  return cases;
}

/// Between layers that do their neighbours' work.
LayerCase in_a_block() {
  LayerCase c{"cg_conv", "in_a_block", {{"x", {2, 16, 4, 5}}}, ""};
  c.layers = "[layer.bn1]\ntype = batchnorm\n[layer.relu1]\ntype = relu\n" +
             cg("channels = 16\nkernel = 3\npad = 1\nown_chunk = yes") +
             "[layer.bn2]\ntype = batchnorm\n[layer.add]\ntype = add\nfrom = bn2, x\n[layer.relu2]\ntype = relu\n";
  return c;
}

std::vector<LayerCase> cg_cases() {
  std::vector<LayerCase> cases = path_cases();
  for (const LayerCase& c : gate_cases()) cases.push_back(c);
  for (const LayerCase& c : channel_cases()) cases.push_back(c);
  for (const LayerCase& c : norm_cases()) cases.push_back(c);
  cases.push_back(in_a_block());
  for (LayerCase& c : cases) {
    c.references = gated_references();
    c.prepare = clear_edges;
    c.types = register_gated_types;
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(CgConv, LayerCases, ::testing::ValuesIn(cg_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(CgConv, GatedCounts, ::testing::ValuesIn(cg_cases()), case_name);

}  // namespace
}  // namespace sluice
