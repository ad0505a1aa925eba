// Decision maps against gates that plain loops decide, in double precision, one by one: for each gated kind and
// granularity.
#include "apps/decisions.hpp"

#include <cmath>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "tests/gating/gated_types.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kImages = 5, kChannels = 20;  // slices of 16 and of 4

struct Kind {
  const char* type;
  const char* granularity;
  const char* keys;
};
void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.type << " " << kind.granularity;
}

std::string text_of(const Kind& kind) {
  return concat(
      "[network]\ninput = 3x9x8\n[layer.stem]\ntype = conv\nchannels = 8\nkernel = 3\npad = 1\n[layer.positive]\n",
      "type = relu\n[layer.gated]\ntype = ", kind.type, "\nchannels = ", kChannels,
      "\nkernel = 3\nstride = 2\npad = 1\ngranularity = ", kind.granularity, "\n", kind.keys,
      "[layer.relu]\ntype = relu\n[layer.pool]\ntype = global_pool\n[layer.fc]\ntype = linear\nfeatures = 4\n"
      "[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n[data]\nkind = synthetic\n");
}

// Suites of the harness that other programs run.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BadLayers);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GatedCounts);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LayerCases);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SemanticCases);

class Decisions : public ::testing::TestWithParam<Kind> {
 protected:
  Decisions() {
    register_gated_types(registry_);
    configured_ = std::make_unique<ConfiguredNetwork>(Config::parse(text_of(GetParam()), "net.ini"), registry_);
    configured_->network().initialise(3);
    references_ = standard_references();
    for (const auto& entry : gated_references()) references_[entry.first] = entry.second;
  }

  std::vector<float> image() {
    std::vector<float> values(9 * 8 * 3);
    for (float& value : values) value = static_cast<float>(random_.uniform() * 2 - 1);
    return values;
  }

  /// What each decision compares with 0: 1 x decisions x height x width.
  Array scores_of(std::vector<float>& image) {
    ReferenceGraph graph(configured_->network(), references_);
    graph.data = to_array(Tensor{{{1, 3, 9, 8}, DataType::kF32, 3}, image.data()});
    graph.labels = Array(Shape{1});
    graph.forward(false);
    return graph.scores[static_cast<std::size_t>(configured_->network().find("gated"))];
  }

  Registry registry_;
  std::unique_ptr<ConfiguredNetwork> configured_;
  ReferenceTable references_;
  Random random_{6, Purpose::kTest};
};

/// The decision that a channel shares.
std::int64_t decision_of(std::int64_t channel, std::int64_t decisions) {
  return decisions == kChannels ? channel : decisions == 1 ? 0 : channel / 16;
}

TEST_P(Decisions, AreThoseOfPlainLoops) {
  DecisionLooker looker(*configured_);
  ASSERT_TRUE(looker.has_gates());
  std::int64_t open_of_all = 0;
  for (std::int64_t i = 0; i < kImages; ++i) {
    std::vector<float> pixels = image();
    const Array scores = scores_of(pixels);
    looker.look(pixels.data());
    const std::vector<DecisionMap> maps = looker.maps();
    ASSERT_EQ(maps.size(), 1);
    EXPECT_EQ(maps[0].layer, "gated");
    ASSERT_EQ(maps[0].height, 5);
    ASSERT_EQ(maps[0].width, 4);
    std::int64_t open_of_image = 0;
    for (std::int64_t h = 0; h < 5; ++h) {
      for (std::int64_t w = 0; w < 4; ++w) {
        std::int64_t open = 0;
        for (std::int64_t c = 0; c < kChannels; ++c) {
          const double score = scores.at(0, decision_of(c, scores.shape[kC]), h, w);
          ASSERT_GT(std::abs(score), 1e-5) << "a decision on the edge, where rounding may decide: change the seed";
          open += score > 0 ? 1 : 0;
        }
        EXPECT_DOUBLE_EQ(maps[0].shares[static_cast<std::size_t>(h * 4 + w)], static_cast<double>(open) / kChannels)
            << "image " << i << " at " << h << ", " << w;
        open_of_image += open;
      }
    }
    EXPECT_DOUBLE_EQ(looker.density(), static_cast<double>(open_of_image) / (20 * kChannels));
    EXPECT_DOUBLE_EQ(density_of(maps[0]), looker.density());
    open_of_all += open_of_image;
  }
  EXPECT_GT(open_of_all, 0) << "no gate is open: the case shows nothing";
  EXPECT_LT(open_of_all, kImages * 20 * kChannels) << "no gate is closed: the case shows nothing";
}

constexpr char kChannelGates[] = "partitions = 4\nthreshold_init = 0.1\n";
constexpr char kOwnChunks[] = "partitions = 4\nown_chunk = yes\nshuffle = yes\nthreshold_init = 0.1\n";
constexpr char kTwoNorms[] = "partitions = 2\ntwo_norms = yes\nthreshold_init = -0.1\n";
constexpr char kPrecisionGates[] = "activation_bits = 4\nprediction_bits = 2\nthreshold_init = 0.05\n";

INSTANTIATE_TEST_SUITE_P(
    Kinds, Decisions,
    ::testing::Values(Kind{"cg_conv", "element", kChannelGates}, Kind{"cg_conv", "slice", kChannelGates},
                      Kind{"cg_conv", "pixel", kChannelGates}, Kind{"pg_conv", "element", kPrecisionGates},
                      Kind{"pg_conv", "slice", kPrecisionGates}, Kind{"pg_conv", "pixel", kPrecisionGates},
                      Kind{"cg_conv", "element", kOwnChunks}, Kind{"cg_conv", "slice", kTwoNorms}));

}  // namespace
}  // namespace sluice
