// A layer case: a small network from an INI text, with random values, that is run by an executor and by references.
//
// To prove a new layer type, write tests/layers/<type>_test.cpp with
//   1. a ReferenceOp for the type (unless reference_*.cpp has one), written from the layer's documentation,
//   2. layer cases:    INSTANTIATE_TEST_SUITE_P(Foo, LayerCases, testing::ValuesIn(foo_cases()), case_name);
//   3. semantic cases: INSTANTIATE_TEST_SUITE_P(Foo, SemanticCases, testing::ValuesIn(foo_semantics()), case_name);
// and list the file in tests/layers/CMakeLists.txt. The coverage gate (coverage.hpp) fails until both kinds exist for
// every registered type. layer_test.hpp says what each suite checks. Types beyond the standard ones: cases name the
// function that registers them.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "core/graph/executor.hpp"
#include "layers/layers.hpp"
#include "tests/layers/harness/reference.hpp"

namespace sluice {

struct CaseBatch;

/// Registers the types that a case is built from; the harness adds its own (test_layers.hpp).
using RegisterTypes = void (*)(Registry&);

/// An input of the case's layers: a layer of that name that they can name in `from`. The name `data` is the network's
/// own input, whose gradient nobody computes.
struct CaseSource {
  std::string name;
  Shape shape;                      ///< with the batch: N x C x H x W or N x K
  bool fp32 = false;                ///< fp32 whatever the precision, as after a global pool
  std::vector<double> values = {};  ///< semantic cases: row-major; layer cases draw them
};

struct LayerCase {
  std::string type;  ///< the layer type (or composite) that this case proves
  std::string name;  ///< letters, digits, underscores; unique within the type
  std::vector<CaseSource> sources;
  /// INI sections. The first layer's default source is the last of `sources`; a loss that feeds a random upstream
  /// gradient into the last layer is appended, unless the text has losses of its own (`test_loss` takes one source and
  /// no keys).
  std::string layers;
  ReferenceTable references = {};  ///< of types that standard_references() lacks
  std::int64_t classes = 0;        ///< labels are drawn below this number
  double tolerance = 2e-6;         ///< fp32: largest error over the largest value of a tensor
  double winograd_tolerance = 2e-5;
  double bf16_tolerance = 1.0 / 128;  ///< two roundings: of the result, and of what it was made from
  std::uint64_t seed = 1;
  /// Values ("x/value", "conv/weight") whose gradient is by definition not the derivative: no differences are taken.
  std::vector<std::string> surrogates = {};
  bool inference_only = false;  ///< its gradients say nothing, because they are zero but for rounding
  /// Many layers of types that have cases of their own: fp32 alone, without the check of the references, and gradients
  /// on the scale of the network's largest (some are zero but for rounding).
  bool composed = false;
  /// Called when random values have been drawn: for parameters that need particular ones.
  std::function<void(Network&, const CaseBatch&)> prepare = {};
  RegisterTypes types = register_layers;
};

/// A layer's meaning on values small enough to check by hand.
struct SemanticCase {
  std::string type;
  std::string name;
  std::vector<CaseSource> sources;
  std::string layers;
  std::map<std::string, std::vector<double>> state = {};  ///< parameters and buffers by "layer/name"
  Mode mode = Mode::kInference;
  Shape shape = {};                 ///< of the last layer's result
  std::vector<double> result = {};  ///< row-major
  /// In training: the upstream gradient, and what becomes of it: expected gradients by "source/value" or
  /// "layer/parameter", and buffers after the step by "layer/name".
  std::vector<double> upstream = {};
  std::map<std::string, std::vector<double>> gradients = {};
  std::map<std::string, std::vector<double>> buffers_after = {};
  std::vector<std::int32_t> labels = {};
  double tolerance = 1e-6;
  RegisterTypes types = register_layers;
};

/// What a test prints about a case; the coverage gate reads the type from it.
void PrintTo(const LayerCase& c, std::ostream* out);
void PrintTo(const SemanticCase& c, std::ostream* out);
std::string printed(const std::string& type, const std::string& name);

/// A case's network with its registry. Movable only as a pointer: the network refers to the registry.
struct CaseNetwork {
  CaseNetwork(const std::vector<CaseSource>& sources, const std::string& layers, RegisterTypes types = register_layers);
  Registry registry;
  std::unique_ptr<Network> network;
  std::vector<std::string> composites;  ///< types of the sections that expanded to others
  std::int64_t batch = 1;

  /// The index of "layer/name", which must exist.
  const Parameter& parameter(const std::string& path) const;
  const StateBuffer& buffer(const std::string& path) const;
  bool has_parameter(const std::string& path) const;
};

/// Input and labels of a network, as set_batch wants them.
struct CaseBatch {
  std::vector<float> nhwc;
  std::vector<std::int32_t> labels;
  Array data, label_array;  ///< the same for references
};

/// Draws every parameter, buffer, input and label of a case.
CaseBatch fill(const LayerCase& c, CaseNetwork& built, std::uint64_t seed, bool bf16);

}  // namespace sluice
