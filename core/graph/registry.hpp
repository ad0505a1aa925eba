// The layer types a program knows: the standard ones and those of plug-ins, registered by explicit calls.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config/config.hpp"
#include "core/graph/auxiliary_loss.hpp"
#include "core/graph/layer.hpp"

namespace sluice {

/// Makes a layer from its section; with documenting Keys it only names its keys.
using LayerFactory = std::function<std::unique_ptr<Layer>(Keys&)>;

/// Replaces a layer by layers of other types once its source shapes are known; their names are appended to the layer's
/// own with a dot. An empty result means that the layer is the identity. Each returned section has `type` and may have
/// `from` (names of earlier members, `input`, or input:K for source K of several); the default is the member before.
using CompositeFactory = std::function<std::vector<Section>(Keys&, const std::vector<Shape>& src)>;

/// Makes an auxiliary loss from its section.
using AuxiliaryLossFactory = std::function<std::unique_ptr<AuxiliaryLoss>(Keys&)>;

struct Node;
struct PortableLayer;
class PortableGraph;

/// Writes a layer as standard operators (core/graph/portable.hpp); returns the value that is its result.
using Translator = std::function<std::string(const PortableLayer& layer, PortableGraph& graph)>;

/// A share in counts, which add up exactly over layers, batches and processes.
struct Ratio {
  std::int64_t part = 0;
  std::int64_t whole = 0;
  double value() const { return static_cast<double>(part) / static_cast<double>(whole); }
};

/// A figure that a plug-in makes of the counts its layers declare. `of_layer` gets a node and its counts (in the order
/// of declaration; zero before the first step) and gives nothing for layers that it does not concern; a network's
/// figure is the sum of the parts over the sum of the wholes.
struct MetricType {
  using OfLayer = std::function<std::optional<Ratio>(const Node& node, const std::int64_t* counts)>;
  std::string name;  ///< of columns and keys: lower_case
  std::string doc;
  std::string unit;        ///< printed behind the value; empty: none
  std::string complement;  ///< the metric of which this one is 1 minus; empty: none
  OfLayer of_layer;
};

class Registry {
 public:
  /// Throw Error(kUsage) when the name is taken.
  void add_layer(const std::string& type, const std::string& doc, LayerFactory factory);
  void add_composite(const std::string& type, const std::string& doc, CompositeFactory factory);
  /// `section` is both the loss's name and the section that enables and configures it.
  void add_auxiliary_loss(const std::string& section, const std::string& doc, AuxiliaryLossFactory factory);
  /// Trainings and evaluations of every network whose layers it concerns show it: see core/graph/derived_metrics.hpp.
  void add_metric(const std::string& name, const std::string& doc, const std::string& unit,
                  MetricType::OfLayer of_layer);
  /// `name` is 1 - `metric`, as a sparsity is of a density. Files and --json have both, lines for people `metric`
  /// alone. Throws Error(kUsage) where `metric` is not registered.
  void add_complement(const std::string& name, const std::string& doc, const std::string& metric);

  bool is_layer(const std::string& type) const { return layers_.count(type) != 0; }
  bool is_composite(const std::string& type) const { return composites_.count(type) != 0; }
  /// The type must be registered.
  std::unique_ptr<Layer> make(const std::string& type, Keys& keys) const;
  std::vector<Section> expand(const std::string& type, Keys& keys, const std::vector<Shape>& src) const;

  std::vector<std::string> types() const;  ///< layers and composites, sorted
  std::string doc(const std::string& type) const;
  /// The keys of a type, from the code that reads them.
  std::vector<KeyDoc> keys(const std::string& type) const;

  std::vector<std::string> auxiliary_losses() const;
  std::unique_ptr<AuxiliaryLoss> make_auxiliary_loss(const std::string& section, Keys& keys) const;

  /// `dense` is the layer that computes all of what `type` computes in part: networks of `type` are measured against
  /// the same ones of `dense`. Throws Error(kUsage) when the type has one.
  void add_dense_type(const std::string& type, const std::string& dense);
  /// The dense type of a type, or "".
  std::string dense_type(const std::string& type) const;

  /// PyTorch's usual code has another name for the layers' tensors `name`, such as bn.running_mean for a buffer of ours
  /// that is one of a module inside the layer's there; "" means that it has none of them: imports leave their initial
  /// values, exports leave them out. Throws Error(kUsage) when the name has one.
  void add_torch_name(const std::string& name, const std::string& torch_name);
  /// By our name; tensors that are not in here have one name.
  const std::map<std::string, std::string>& torch_names() const { return torch_names_; }

  /// For layers of this kind (Attributes::kind). Throws Error(kUsage) when the kind has one.
  void add_translator(const std::string& kind, Translator translator);
  /// Null where a kind has none.
  const Translator* translator(const std::string& kind) const;

  const std::vector<MetricType>& metrics() const { return metrics_; }  ///< in the order of registration

 private:
  struct LayerType {
    std::string doc;
    LayerFactory factory;
  };
  struct CompositeType {
    std::string doc;
    CompositeFactory factory;
  };
  struct AuxiliaryLossType {
    std::string doc;
    AuxiliaryLossFactory factory;
  };
  void require_free(const std::string& type) const;

  std::map<std::string, LayerType> layers_;
  std::map<std::string, CompositeType> composites_;
  std::map<std::string, AuxiliaryLossType> auxiliary_losses_;
  std::vector<MetricType> metrics_;
  std::map<std::string, std::string> dense_types_;
  std::map<std::string, std::string> torch_names_;
  std::map<std::string, Translator> translators_;
};

}  // namespace sluice
