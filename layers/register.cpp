// The list of standard layers: their types, and what --help says about each.
#include "core/base/error.hpp"
#include "core/graph/registry.hpp"
#include "layers/layers.hpp"
#include "layers/shortcut.hpp"

namespace sluice {

void register_layers(Registry& registry) {
  registry.add_layer("add", "sum of two sources of one shape", make_add);
  registry.add_layer("average_pool", "mean of each window", make_average_pool);
  registry.add_layer("batchnorm", "batch normalisation over N, H and W", make_batchnorm);
  registry.add_layer("clip", "clamp to [low, high]", make_clip);
  registry.add_layer("concat", "sources one behind the other along the channels", make_concat);
  registry.add_layer("conv", "convolution", make_conv);
  registry.add_layer("dropout", "sets random values to zero in training", make_dropout);
  registry.add_layer("flatten", "each image as one row of values", make_flatten);
  registry.add_layer("global_pool", "mean over the image", make_global_pool);
  registry.add_layer("linear", "fully connected", make_linear);
  registry.add_layer("max_pool", "largest value of each window", make_max_pool);
  registry.add_layer("pact_relu", "clamp to [0, a learned bound]", make_pact_relu);
  registry.add_layer("pad_shortcut", "shortcut A: take every stride-th pixel, pad with channels of zeros",
                     make_pad_shortcut);
  registry.add_layer("relu", "max(x, 0)", make_relu);
  registry.add_layer("softmax_cross_entropy", "softmax and cross entropy with the labels", make_softmax_cross_entropy);
  registry.add_composite("shortcut", "identity, or pad or projection where shapes differ", expand_shortcut);
}

void require_sources(const std::vector<Shape>& src, std::size_t count) {
  if (src.size() != count)
    throw ShapeError("from", concat("expected ", count, count == 1 ? " source" : " sources", ", got ", src.size()));
}

void require_image(const Shape& src) {
  if (src.rank() != 4) throw ShapeError("", concat("expected an image N x C x H x W, got ", to_string(src)));
}

}  // namespace sluice
