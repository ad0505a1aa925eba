// A network on its way from a foreign model to a configuration: one layer after the other.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "apps/onnx/read_model.hpp"

namespace sluice {

/// What a layer reads: a result of an earlier one, or the images.
struct LayerSource {
  static constexpr int kImages = -1;
  int layer = kImages;
  std::string result;  ///< of several; "": the first

  bool operator==(const LayerSource& other) const { return layer == other.layer && result == other.result; }
  bool operator<(const LayerSource& other) const {
    return layer != other.layer ? layer < other.layer : result < other.result;
  }
};

struct LayerKey {
  std::string name, value;
  bool usual = false;  ///< the value that the key has where it is left out
};

struct ListedLayer {
  std::string name;  ///< at first what the model calls its part, or ""; name_layers makes it a name of its own
  std::string type;
  std::vector<LayerKey> keys;
  std::vector<LayerSource> src;
  std::map<std::string, Floats> tensors;  ///< by name, "weight"

  const LayerKey* find(const std::string& key) const;
  void set(const std::string& key, const std::string& value, bool usual = false);
  void set(const std::string& key, std::int64_t value, std::int64_t usual) {
    set(key, std::to_string(value), value == usual);
  }
  void set(const std::string& key, std::int64_t value) { set(key, std::to_string(value)); }
};

/// The shortest text of a number, as a float.
std::string float_text(double number);

/// A batch normalisation that changes nothing yet: (x - 0) / sqrt(1 - eps + eps) 1 + 0.
ListedLayer plain_batchnorm(std::size_t channels);

/// y = factor x + term, each by channel.
struct Affine {
  std::vector<double> factor, term;
};

struct LayerList {
  Shape image;           ///< C x H x W
  Affine normalization;  ///< what the model does to its images first; empty: nothing
  std::vector<ListedLayer> layers;
  LayerSource answer;
  std::map<std::string, std::vector<LayerKey>> defaults;  ///< of all layers of a type
};

/// One layer for each operator, and none for those that only say how values are stored. Throws Error(kCheckpoint)
/// naming the operator that has no counterpart.
LayerList translate_model(const ForeignModel& model);

/// Gives every layer a name: what the model calls its part, without what all have in common, and a word or a number
/// behind it where that alone would not do.
void name_layers(LayerList& list);

/// Both.
LayerList list_layers(const ForeignModel& model);

/// The [network], its layers, and blocks for what repeats.
std::string network_text(const LayerList& list);

}  // namespace sluice
