// Registers the standard layers that layers/types.def lists.
#include "core/base/error.hpp"
#include "core/graph/registry.hpp"
#include "layers/layers.hpp"
#include "layers/portable.hpp"
#include "layers/shortcut.hpp"

namespace sluice {

#define SLUICE_LAYER(type, doc) std::unique_ptr<Layer> make_##type(Keys& keys);
#include "layers/types.def"
#undef SLUICE_LAYER

void register_layers(Registry& registry) {
#define SLUICE_LAYER(type, doc) registry.add_layer(#type, doc, make_##type);
#include "layers/types.def"
#undef SLUICE_LAYER
  registry.add_torch_name("src_scale", "");  // calibrated here; PyTorch code takes the range of each batch
  register_translators(registry);
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
