// Where a network computes: what its gates decided at each pixel of a few images.
#pragma once

#include <nlohmann/json.hpp>

#include "apps/open_network.hpp"

namespace sluice {

/// `count` images of those that open at the beginning of the set: found and mistaken most surely, least and most
/// computed. Of each {why, label, predicted, density, width, height, rgb, layers: [{name, width, height, density,
/// shares, bits}]} with pixels and the shares of open gates as bytes in base64, 255 = all; `bits` only of layers whose
/// gates add bits to what is multiplied, on average; large images are averaged to fewer pixels. An empty list where no
/// layer decides anything. `silent` gets the names of the layers that decide and keep no decisions.
nlohmann::ordered_json decision_maps(OpenNetwork& opened, int count, std::vector<std::string>& silent);

}  // namespace sluice
