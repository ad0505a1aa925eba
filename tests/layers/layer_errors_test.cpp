// What layers say about keys and sources that do not fit: one exact line for each.
#include "tests/layers/harness/bad_layer.hpp"

namespace sluice {
namespace {

std::vector<BadLayer> bad_layers() {
  return {
      {"pool_kernel_missing", "max_pool", "stride = 2",
       "[layer.bad] kernel: required key is missing; expected an integer from 1 to 255"},
      {"pool_pad", "max_pool", "kernel = 2\npad = 2",
       "[layer.bad] pad: pad = 2 must be below kernel = 2, or windows hold no pixel"},
      {"pool_kernel_zero", "average_pool", "kernel = 0",
       "[layer.bad] kernel: expected an integer from 1 to 255, got '0'"},
      {"pool_kernel_huge", "max_pool", "kernel = 256",
       "[layer.bad] kernel: expected an integer from 1 to 255, got '256'"},
      {"pool_stride_zero", "max_pool", "kernel = 2\nstride = 0",
       "[layer.bad] stride: expected an integer of at least 1, got '0'"},
      {"pool_window", "average_pool", "kernel = 6",
       "[layer.bad] kernel: the window covers 6x6 pixels but the padded image has only 6x5 (average_pool of 1x3x6x5)"},
      {"pool_of_row", "max_pool", "kernel = 2\nfrom = row",
       "[layer.bad]: expected an image N x C x H x W, got 1x4 (max_pool of 1x4)"},
      {"pool_sources", "max_pool", "kernel = 2\nfrom = image, image",
       "[layer.bad] from: expected 1 source, got 2 (max_pool of 1x3x6x5, 1x3x6x5)"},
      {"concat_pixels", "concat", "from = image, small",
       "[layer.bad] from: the sources may differ in channels only, got 1x3x6x5 and 1x3x3x2 (concat of 1x3x6x5, "
       "1x3x3x2)"},
      {"concat_ranks", "concat", "from = image, row",
       "[layer.bad] from: the sources may differ in channels only, got 1x3x6x5 and 1x4 (concat of 1x3x6x5, 1x4)"},
      {"concat_labels", "concat", "from = labels",
       "[layer.bad]: expected an image N x C x H x W or rows N x K, got 1 (concat of 1)"},
      {"split_parts", "split", "from = row\nparts = 3",
       "[layer.bad] parts: parts = 3 must divide the source's 4 channels (split of 1x4)"},
      {"split_many", "split", "parts = 9", "[layer.bad] parts: expected an integer from 2 to 8, got '9'"},
      {"split_labels", "split", "from = labels",
       "[layer.bad]: expected an image N x C x H x W or rows N x K, got 1 (split of 1)"},
      {"shuffle_groups", "channel_shuffle", "groups = 2",
       "[layer.bad] groups: groups = 2 must divide the source's 3 channels (channel_shuffle of 1x3x6x5)"},
      {"shuffle_of_row", "channel_shuffle", "from = row",
       "[layer.bad]: expected an image N x C x H x W, got 1x4 (channel_shuffle of 1x4)"},
      {"zero_pad_negative", "zero_pad", "right = -1",
       "[layer.bad] right: expected an integer from 0 to 65536, got '-1'"},
      {"zero_pad_of_row", "zero_pad", "from = row",
       "[layer.bad]: expected an image N x C x H x W, got 1x4 (zero_pad of 1x4)"},
      {"adaptive_size", "adaptive_average_pool", "",
       "[layer.bad] size: required key is missing; expected an integer from 1 to 65536"},
      {"flatten_labels", "flatten", "from = labels",
       "[layer.bad]: expected an image N x C x H x W or rows N x K, got 1 (flatten of 1)"},
      {"dropout_rate", "dropout", "rate = 1", "[layer.bad] rate: expected a number from 0 to 0.999, got '1'"},
      {"dropout_negative", "dropout", "rate = -0.1", "[layer.bad] rate: expected a number from 0 to 0.999, got '-0.1'"},
      {"depth_rate", "stochastic_depth", "rate = 1", "[layer.bad] rate: expected a number from 0 to 0.999, got '1'"},
      {"depth_place", "stochastic_depth", "place = 3\nplaces = 2",
       "[layer.bad] place: expected 1 to 2 (places), got 3"},
      {"depth_labels", "stochastic_depth", "from = labels",
       "[layer.bad]: expected an image N x C x H x W or rows N x K, got 1 (stochastic_depth of 1)"},
      {"dropout_labels", "dropout", "from = labels",
       "[layer.bad]: expected an image N x C x H x W or rows N x K, got 1 (dropout of 1)"},
      {"pact_init", "pact_relu", "init = 0", "[layer.bad] init: expected a number above 0, got '0'"},
      {"rprelu_of_row", "rprelu", "from = row",
       "[layer.bad]: expected an image N x C x H x W, got 1x4 (rprelu of 1x4)"},
      {"rprelu_sources", "rprelu", "from = image, image",
       "[layer.bad] from: expected 1 source, got 2 (rprelu of 1x3x6x5, 1x3x6x5)"},
      {"repeat_channels", "shortcut", "kind = repeat\nchannels = 4",
       "[layer.bad] channels: channels = 4 must be a multiple of the source's 3 (shortcut of 1x3x6x5)"},
      {"clip_of_weights", "quantized_conv", "channels = 2\nkernel = 1\nweight_clip = -1",
       "[layer.bad] weight_clip: expected a number of at least 0, got '-1'"},
      {"pact_sources", "pact_relu", "from = image, image",
       "[layer.bad] from: expected 1 source, got 2 (pact_relu of 1x3x6x5, 1x3x6x5)"},
      {"pact_share_nothing", "pact_relu", "share = image",
       "[layer.bad] share: layer 'image' has no parameter 'upper_bound'"},
      {"class_weights", "softmax_cross_entropy", "class_weights = 1, 2\nfrom = row, labels",
       "[layer.bad] class_weights: expected a factor for each of the 4 classes, got 2 (softmax_cross_entropy of 1x4, "
       "1)"},
      {"unknown_key", "max_pool", "kernel = 2\nstrid = 2", "[layer.bad] strid: unknown key; did you mean 'stride'?"},
  };
}

INSTANTIATE_TEST_SUITE_P(Layers, BadLayers, ::testing::ValuesIn(bad_layers()), bad_layer_name);

}  // namespace
}  // namespace sluice
