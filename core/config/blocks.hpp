// Expands the layer, block and type sections of a network's description into a flat list of layers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/config/config.hpp"

namespace sluice {

/// The layers of the network in order, named without "layer." ("conv1", "layer1.0.conv1"), with blocks and repetitions
/// expanded and the entries of `[type.T]` added where a layer of type T lacks them. Every layer has an explicit `from`,
/// a comma-separated list of names of earlier layers or of `sources`; the first layer without one takes sources[0].
/// LAYER:RESULT names a further result of a layer; which there are is not known here.
/// `share` holds the name of an earlier layer.
///
/// A section `[layer.X.REST]` below a layer X that uses a block changes the expanded layer of that name: its values go
/// before those of the block.
///
/// Mistakes are reported to config.diagnostics(); what they concern is left out of the list. Entries keep the line of
/// the block's file; titles (Section::title) name the section that stands there.
std::vector<Section> expand_layers(Config& config, const std::vector<std::string>& sources = {"data", "labels"});

/// Adds the entries of `[type.T]`, for the layer's type T, that the layer lacks. For layers that the network adds
/// itself; expand_layers has done it for its own.
void add_type_defaults(const Config& config, Section& layer);

/// Reports the `[type.T]` sections whose T is none of `types`: a misspelt one would have no effect.
void check_type_sections(Config& config, const std::vector<std::string>& types);

/// An item of a block's `parameters = channels, stride=1`.
struct BlockParameter {
  std::string name;
  std::optional<std::string> default_value;
};
std::vector<BlockParameter> parse_parameters(const std::vector<std::string>& items);

/// What the layers of a block know beside its parameters, unless one of these or a definition has the name: which
/// repetition they stand in, from 0.
inline constexpr char kRepetition[] = "repetition";

}  // namespace sluice
