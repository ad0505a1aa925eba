#include "tests/layers/harness/layer_case.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "tests/layers/harness/test_layers.hpp"

namespace sluice {
namespace {

bool has_loss(const std::string& layers) {
  return layers.find("test_loss") != std::string::npos || layers.find("cross_entropy") != std::string::npos;
}

std::string without_batch(const Shape& shape) {
  std::string text;
  for (std::size_t axis = 1; axis < shape.rank(); ++axis) text += concat(axis > 1 ? "x" : "", shape[axis]);
  return text;
}

std::string network_text(const std::vector<CaseSource>& sources, const std::string& layers, std::int64_t batch) {
  std::string input = "1x1x1", declared;
  for (const CaseSource& source : sources) {
    if (source.name == "data") {
      input = without_batch(source.shape);
      continue;
    }
    declared +=
        concat("[layer.", source.name, "]\ntype = test_source\nfrom = data\nshape = ", without_batch(source.shape),
               source.fp32 ? "\nfp32 = yes\n" : "\n");
  }
  return concat("[network]\ninput = ", input, "\n[type.test_source]\nbatch = ", batch,
                "\n[type.test_loss]\nbatch = ", batch, "\n", declared, layers,
                has_loss(layers) ? "" : "\n[layer.test_loss]\ntype = test_loss\n");
}

double random_value(Random& random, double scale, bool bf16) {
  const double value = static_cast<double>(static_cast<float>(scale * random.normal()));
  return bf16 ? round_to_bf16(value) : value;
}

/// Constants get noise around them; the rest keeps its distribution.
void fill_parameters(Network& network, Random& random, bool bf16) {
  for (const Parameter& p : network.parameters()) {
    float* const values = network.parameter_data() + p.offset;
    for (std::int64_t i = 0; i < p.shape.count(); ++i) {
      const bool constant = p.init.kind == Init::Kind::kConstant;
      const double scale = constant ? 0.3 : p.init.value;
      values[i] = static_cast<float>((constant ? p.init.value : 0) + random_value(random, scale, false));
      if (bf16) values[i] = static_cast<float>(round_to_bf16(static_cast<double>(values[i])));
    }
  }
}

/// Buffers that start above zero stay there (variances); the others, upstream gradients among them, become anything.
void fill_buffers(Network& network, Random& random, bool bf16) {
  for (const StateBuffer& b : network.buffers()) {
    float* const values = network.buffer_data() + b.offset;
    for (std::int64_t i = 0; i < b.shape.count(); ++i) {
      const double draw = random_value(random, 1, bf16);
      values[i] = b.initial > 0 ? b.initial * static_cast<float>(0.5 + random.uniform()) : static_cast<float>(draw);
    }
  }
}

void fill_batch(CaseBatch& batch, const Network& network, std::int64_t images, std::int64_t classes, Random& random,
                bool bf16) {
  const Shape shape = network.input_shape(images);
  batch.data = Array(shape);
  batch.nhwc.resize(static_cast<std::size_t>(shape.count()));
  for (std::int64_t i = 0; i < shape.count(); ++i) {
    const std::int64_t w = i % shape[kW], h = i / shape[kW] % shape[kH], c = i / (shape[kW] * shape[kH]) % shape[kC];
    const std::int64_t n = i / (shape[kC] * shape[kH] * shape[kW]);
    batch.data[i] = random_value(random, 1, bf16);
    batch.nhwc[static_cast<std::size_t>(((n * shape[kH] + h) * shape[kW] + w) * shape[kC] + c)] =
        static_cast<float>(batch.data[i]);
  }
  batch.label_array = Array(Shape{images});
  for (std::int64_t n = 0; n < images; ++n) {
    batch.labels.push_back(classes > 0 ? static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(classes)))
                                       : 0);
    batch.label_array[n] = batch.labels.back();
  }
}

}  // namespace

std::string printed(const std::string& type, const std::string& name) {
  return "type " + type + ", case " + name;
}

void PrintTo(const LayerCase& c, std::ostream* out) {
  *out << printed(c.type, c.name);
}

void PrintTo(const SemanticCase& c, std::ostream* out) {
  *out << printed(c.type, c.name);
}

CaseNetwork::CaseNetwork(const std::vector<CaseSource>& sources, const std::string& layers, RegisterTypes types) {
  types(registry);
  register_test_layers(registry);
  batch = sources.empty() ? 1 : sources[0].shape[0];
  Config config = Config::parse(network_text(sources, layers, batch), "case.ini");
  for (const Section& section : config.sections()) {
    const Entry* type = section.find("type");
    if (type != nullptr && registry.is_composite(type->value)) composites.push_back(type->value);
  }
  network = std::make_unique<Network>(config, registry);
  config.check();
}

const Parameter& CaseNetwork::parameter(const std::string& path) const {
  for (const Parameter& p : network->parameters()) {
    if (p.path() == path) return p;
  }
  throw Error(ExitCode::kInternal, concat("the case has no parameter '", path, "'"));
}

bool CaseNetwork::has_parameter(const std::string& path) const {
  const auto& all = network->parameters();
  return std::any_of(all.begin(), all.end(), [&](const Parameter& p) { return p.path() == path; });
}

const StateBuffer& CaseNetwork::buffer(const std::string& path) const {
  for (const StateBuffer& b : network->buffers()) {
    if (b.path() == path) return b;
  }
  throw Error(ExitCode::kInternal, concat("the case has no buffer '", path, "'"));
}

CaseBatch fill(const LayerCase& c, CaseNetwork& built, std::uint64_t seed, bool bf16) {
  Random random(seed, Purpose::kTest, 77);
  fill_parameters(*built.network, random, bf16);
  fill_buffers(*built.network, random, bf16);
  CaseBatch batch;
  fill_batch(batch, *built.network, built.batch, c.classes, random, bf16);
  if (c.prepare) c.prepare(*built.network, batch);
  return batch;
}

}  // namespace sluice
