// Gated layers in PyTorch: both products, and the same decisions with the same surrogate gradients.
#pragma once

namespace sluice {

class TorchLayers;

void register_gated_torch_layers(TorchLayers& layers);

}  // namespace sluice
