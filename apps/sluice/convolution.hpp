// Convolve in a layer of your own: the primitives of the built-in layers, and oneDNN itself. docs/adding-a-layer.md.
#pragma once

#include "layers/convolution.hpp"
#include "sluice/layer.hpp"
