#include "core/graph/network.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "core/base/text_stream.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostInput = 65536;

// A stable number for a name, so that a layer's initial values do not depend on the layers around it.
std::uint64_t hash_name(const std::string& name) {
  std::uint64_t h = 14695981039346656037ULL;  // FNV-1a
  for (unsigned char c : name) h = (h ^ c) * 1099511628211ULL;
  return h;
}

void draw(const Init& init, Random random, float* data, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    switch (init.kind) {
      case Init::Kind::kConstant:
      case Init::Kind::kMeasured:
        data[i] = static_cast<float>(init.value);
        break;
      case Init::Kind::kNormal:
        data[i] = static_cast<float>(init.value * random.normal());
        break;
      case Init::Kind::kUniform:
        data[i] = static_cast<float>(init.value * (2 * random.uniform() - 1));
        break;
    }
  }
}

}  // namespace

void NetworkOptions::describe(Keys& keys) {
  std::string text = concat(input[0], "x", input[1], "x", input[2]);
  keys.optional("input", text, "shape of one image: channels x height x width");
  std::vector<std::int64_t> dims;
  TextReader stream(text);
  std::int64_t d = 0;
  char cross = 'x';
  while (cross == 'x' && stream >> d && d > 0 && d <= kMostInput) {
    dims.push_back(d);
    if (!(stream >> cross)) cross = '\0';
  }
  if (dims.size() == 3 && cross == '\0') {
    input = dims;
  } else if (!keys.documenting()) {
    keys.error("input",
               concat("expected channels x height x width like 3x32x32, each 1 to ", kMostInput, ", got '", text, "'"));
  }
}

NodeResult Network::answer() const {
  for (const Node& node : nodes_) {
    if (node.declared.is_loss) return node.src[0];
  }
  return static_cast<int>(nodes_.size()) - 1;
}

Shape Network::shape(const NodeResult& source) const {
  if (source.is_input()) return inputs_[source.input()].shape;
  const Declarations& declared = nodes_[static_cast<std::size_t>(source.node)].declared;
  return source.result == 0 ? declared.dst : declared.more_dst[static_cast<std::size_t>(source.result - 1)].shape;
}

std::string Network::name(const NodeResult& source) const {
  if (source.is_input()) return inputs_[source.input()].name;
  const Node& node = nodes_[static_cast<std::size_t>(source.node)];
  if (source.result == 0) return node.name;
  return node.name + ":" + node.declared.more_dst[static_cast<std::size_t>(source.result - 1)].name;
}

int Network::find(const std::string& name) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].name == name) return static_cast<int>(i);
  }
  return kNotFound;
}

void Network::require_parameters() const {
  if (!has_parameters_)
    throw Error(ExitCode::kInternal,
                "the network's parameters were given back when an executor had packed them; load the network again");
}

void Network::give_back_parameters(std::int64_t first, const User& user) {
  constexpr long kOneUser = 2;  // it and this
  if (user != users_ || users_.use_count() != kOneUser)
    throw Error(ExitCode::kInternal,
                "the network's parameters cannot be given back: another executor uses them; refresh it alone");
  has_parameters_ = false;
  if (first == 0)
    parameter_arena_ = Buffer();
  else
    parameter_arena_.give_back(first * static_cast<std::int64_t>(sizeof(float)));
}

double Calibration::range(const std::string& layer) const {
  const auto found = ranges.find(layer);
  return found != ranges.end() ? found->second : 0.0;
}

std::int64_t Network::learned_count() const {
  std::int64_t total = 0;
  for (const Parameter& p : parameters_) total += p.shape.count();
  return total;
}

std::int64_t Network::macs() const {
  std::int64_t total = 0;
  for (const Node& node : nodes_) {
    for (const CostTerm& term : node.declared.costs) total += term.refines ? 0 : term.macs;
  }
  return total;
}

void Network::initialise(std::uint64_t seed) {
  for (const Parameter& p : parameters_) {
    draw(p.init, Random(seed, Purpose::kInit, hash_name(p.path())), parameter_data() + p.offset, p.shape.count());
  }
  for (const StateBuffer& b : buffers_) {
    std::fill_n(buffer_data() + b.offset, b.shape.count(), b.initial);
  }
}

}  // namespace sluice
