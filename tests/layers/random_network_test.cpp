// Random graphs of layers against the references: whatever the executor fuses, reuses and overwrites, results and
// gradients stay those of the layers one by one.
#include <algorithm>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

/// Draws layers one behind the other; a layer's sources are any of those before it, the newest more often.
class RandomNetwork {
 public:
  RandomNetwork(std::uint64_t seed, int layers) : random_(seed, Purpose::kTest, 99) {
    for (const char* name : {"x", "y"}) {
      const Shape shape{2, pick({3, 16, 18, 32}), 4 + below(3), 4 + below(3)};
      sources.push_back({name, shape});
      made_.push_back({name, shape});
    }
    for (int i = 0; i < layers; ++i) add_layer();
    text += "[layer.loss]\ntype = test_loss\nfrom = " + made_.back().name + "\n";
    if (below(3) == 0) text += "[layer.loss2]\ntype = test_loss\nfrom = " + any().name + "\n";
  }

  std::vector<CaseSource> sources;
  std::string text;

 private:
  struct Made {
    std::string name;
    Shape shape;
  };

  std::int64_t below(std::int64_t bound) {
    return static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(bound)));
  }
  std::int64_t pick(const std::vector<std::int64_t>& from) {
    return from[static_cast<std::size_t>(below(static_cast<std::int64_t>(from.size())))];
  }
  const Made& any() {
    if (below(5) < 3) return made_.back();
    return made_[static_cast<std::size_t>(below(static_cast<std::int64_t>(made_.size())))];
  }
  /// Another of the same shape, or one of the same height and width.
  const Made* partner(const Made& of, bool same_channels) {
    std::vector<const Made*> found;
    for (const Made& m : made_) {
      const bool fits = m.shape[kH] == of.shape[kH] && m.shape[kW] == of.shape[kW];
      if (fits && (!same_channels || m.shape[kC] == of.shape[kC])) found.push_back(&m);
    }
    return found[static_cast<std::size_t>(below(static_cast<std::int64_t>(found.size())))];
  }

  void section(const std::string& type, const std::string& from, const Shape& shape, const std::string& keys = "") {
    const std::string name = concat(type, made_.size());
    text += concat("[layer.", name, "]\ntype = ", type, "\nfrom = ", from, "\n", keys);
    made_.push_back({name, shape});
  }

  void add_layer() {
    const Made src = any();
    switch (below(9)) {
      case 0:
      case 1:
        return add_conv(src);
      case 2:
      case 3:
        return section("batchnorm", src.name, src.shape);
      case 4:
        return section("relu", src.name, src.shape);
      case 5:
        return section("clip", src.name, src.shape, "low = -0.7\nhigh = 1.1\n");
      case 6:
      case 7:
        return section("add", src.name + ", " + partner(src, true)->name, src.shape);
      default:
        return add_shape_change(src);
    }
  }

  /// Half of them keep the shape, so that additions find partners.
  void add_conv(const Made& src) {
    Shape shape = src.shape;
    const std::int64_t kernel = pick({1, 3});
    if (below(2) == 0) shape[kC] = pick({3, 16, 18, 32});
    section("conv", src.name, shape,
            concat("channels = ", shape[kC], "\nkernel = ", kernel, "\npad = ", kernel / 2,
                   below(3) == 0 ? "\nbias = yes\n" : "\n"));
  }

  void add_shape_change(const Made& src) {
    const Made other = *partner(src, false);
    Shape shape = src.shape;
    if (src.shape[kC] + other.shape[kC] <= 64) {
      shape[kC] += other.shape[kC];
      return section("concat", src.name + ", " + other.name, shape);
    }
    shape[kC] += 2;
    section("pad_shortcut", src.name, shape, concat("channels = ", shape[kC], "\n"));
  }

  Random random_;
  std::vector<Made> made_;
};

/// The type that a text has first: any that it has would do.
std::string first_type(const std::string& text) {
  const std::size_t begin = text.find("type = ") + 7;
  return text.substr(begin, text.find('\n', begin) - begin);
}

std::vector<LayerCase> random_cases() {
  std::vector<LayerCase> cases;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const RandomNetwork network(seed, 6 + static_cast<int>(seed % 9));
    LayerCase c{first_type(network.text), concat("random_", seed), network.sources, network.text};
    c.seed = seed;
    c.composed = true;
    c.tolerance = 1e-4;  // depth amplifies rounding; a wrong plan is off by the size of the values
    c.winograd_tolerance = 1e-3;
    cases.push_back(c);
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Random, LayerCases, ::testing::ValuesIn(random_cases()), case_name);

}  // namespace
}  // namespace sluice
