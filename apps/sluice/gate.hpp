// Write a gated convolution of your own from the pieces of the built-in ones. docs/bring-your-own.md.
#pragma once

#include "gating/split_convolution.hpp"
#include "gating/two_products.hpp"
#include "sluice/layer.hpp"
