// Keys and sources that do not fit a layer, each with the exact line that says so.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "layers/layers.hpp"
#include "tests/layers/harness/layer_case.hpp"

namespace sluice {

/// The layer `bad` of a network whose image is `input`. Before it stand `image` (the image, the default source),
/// `small` (the image in half its size) and `row` (4 numbers).
struct BadLayer {
  std::string name, type, keys;
  std::string message;  ///< behind "net.ini:LINE: "
  std::string input = "3x6x5";
  RegisterTypes types = register_layers;
};

void PrintTo(const BadLayer& bad, std::ostream* out);

/// AreRefused: the network cannot be built, and the error is the message. Instantiated by the programs.
class BadLayers : public ::testing::TestWithParam<BadLayer> {};

inline constexpr auto bad_layer_name = [](const auto& info) { return info.param.name; };

}  // namespace sluice
