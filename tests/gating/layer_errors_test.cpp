// What gated layers say about keys and sources that do not fit: one exact line for each.
#include "tests/gating/gated_types.hpp"
#include "tests/layers/harness/bad_layer.hpp"

namespace sluice {
namespace {

std::vector<BadLayer> bad_layers() {
  std::vector<BadLayer> all = {
      {"partitions_above_inputs", "cg_conv", "channels = 4\nkernel = 3\npartitions = 7",
       "[layer.bad] partitions: partitions = 7 leave the base path without any of the 6 input channels; at most 6 are "
       "possible (cg_conv of 1x6x4x5)"},
      {"partitions_zero", "cg_conv", "channels = 4\nkernel = 3\npartitions = 0",
       "[layer.bad] partitions: expected an integer of at least 1, got '0'"},
      {"group_inputs", "cg_conv", "channels = 8\nkernel = 3\nown_chunk = yes",
       "[layer.bad]: with own_chunk = yes, partitions = 4 must divide both 6 input and 8 output channels "
       "(cg_conv "
       "of 1x6x4x5)"},
      {"group_outputs", "cg_conv", "channels = 8\nkernel = 3\npartitions = 3\nown_chunk = yes",
       "[layer.bad] partitions: with own_chunk = yes, partitions = 3 must divide both 6 input and 8 output channels "
       "(cg_conv "
       "of 1x6x4x5)"},
      {"shuffle_inputs", "cg_conv", "channels = 8\nkernel = 3\nshuffle = yes",
       "[layer.bad]: with shuffle = yes, partitions = 4 must divide 6 input channels (cg_conv of 1x6x4x5)"},
      {"groups", "cg_conv", "channels = 4\nkernel = 3\ngroups = 2",
       "[layer.bad] groups: a channel-gated convolution cannot be grouped; use partitions"},
      {"alpha", "cg_conv", "channels = 4\nkernel = 3\nalpha = 0",
       "[layer.bad] alpha: expected a number above 0, got '0'"},
      {"gate_eps", "cg_conv", "channels = 4\nkernel = 3\ngate_eps = 0",
       "[layer.bad] gate_eps: expected a number above 0, got '0'"},
      {"gate_momentum", "cg_conv", "channels = 4\nkernel = 3\ngate_momentum = 2",
       "[layer.bad] gate_momentum: expected a number from 0 to 1, got '2'"},
      {"granularity", "cg_conv", "channels = 4\nkernel = 3\ngranularity = image",
       "[layer.bad] granularity: expected one of element, slice, pixel, channel, got 'image'"},
      {"kernel", "cg_conv", "channels = 4\nkernel = 6\npartitions = 2",
       "[layer.bad] kernel: the filter covers 6 pixels (dilation x (kernel - 1) + 1) but the padded image has only 4x5 "
       "(cg_conv of 1x6x4x5)"},
      {"wide_result", "cg_conv", "channels = 4\nkernel = 1\npartitions = 2\npad = 32766",
       "[layer.bad]: the result 1x4x65536x65537 has rows of more than 65536 pixels (cg_conv of 1x6x4x5)"},
      {"of_row", "cg_conv", "channels = 4\nkernel = 1\nfrom = row",
       "[layer.bad]: expected an image N x C x H x W, got 1x4 (cg_conv of 1x4)"},
      {"sources", "cg_conv", "channels = 4\nkernel = 1\nfrom = image, image",
       "[layer.bad] from: expected 1 source, got 2 (cg_conv of 1x6x4x5, 1x6x4x5)"},
      {"prediction_bits_all", "pg_conv", "channels = 4\nkernel = 3\nactivation_bits = 2\nprediction_bits = 2",
       "[layer.bad] prediction_bits: prediction_bits = 2 must be below activation_bits = 2, or no bits are left to "
       "decide about"},
      {"prediction_bits_zero", "pg_conv", "channels = 4\nkernel = 3\nprediction_bits = 0",
       "[layer.bad] prediction_bits: expected an integer from 1 to 15, got '0'"},
      {"floating_point_source", "pg_conv", "channels = 4\nkernel = 3\nactivation_bits = 0",
       "[layer.bad] prediction_bits: prediction_bits = 2 must be below activation_bits = 0, or no bits are left to "
       "decide about"},
      {"weight_bits", "pg_conv", "channels = 4\nkernel = 3\nweight_bits = 17",
       "[layer.bad] weight_bits: expected an integer from 0 to 16, got '17'"},
      {"threshold_word", "cg_conv", "channels = 4\nkernel = 3\nthreshold_init = low",
       "[layer.bad] threshold_init: expected a number, or density:SHARE with a share above 0, up to 1, got 'low'"},
      {"threshold_density", "cg_conv", "channels = 4\nkernel = 3\nthreshold_init = density:90",
       "[layer.bad] threshold_init: expected a number, or density:SHARE with a share above 0, up to 1, got "
       "'density:90'"},
      {"decision_of_image", "channel_decision", "",
       "[layer.bad]: expected rows N x C, got 1x6x4x5 (channel_decision of 1x6x4x5)"},
      {"gate_of_row", "channel_gate", "from = row",
       "[layer.bad]: expected an image N x C x H x W, got 1x4 (channel_gate of 1x4)"},
      {"gate_sources", "channel_gate", "from = image, image, image",
       "[layer.bad] from: expected what is gated, and what tells the saliency, got 3 sources (channel_gate of 1x6x4x5, "
       "1x6x4x5, 1x6x4x5)"},
      {"gate_scale", "channel_gate", "scale = two",
       "[layer.bad] scale: expected one of sigmoid, saliency, none, got 'two'"},
      {"pg_of_row", "pg_conv", "channels = 4\nkernel = 1\nfrom = row",
       "[layer.bad]: expected an image N x C x H x W, got 1x4 (pg_conv of 1x4)"},
  };
  for (BadLayer& bad : all) {
    bad.input = "6x4x5";
    bad.types = register_gated_types;
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Gated, BadLayers, ::testing::ValuesIn(bad_layers()), bad_layer_name);

}  // namespace
}  // namespace sluice
