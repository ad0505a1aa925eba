// A model takes pictures, and says how probable classes are.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>

#include "core/picture/transform.hpp"
#include "sluice/model.hpp"
#include "sluice/train.hpp"
#include "tests/core/picture/make_pictures.hpp"

namespace sluice {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<std::int64_t> labels(const std::vector<RankedClass>& ranked) {
  std::vector<std::int64_t> labels;
  for (const RankedClass& one : ranked) labels.push_back(one.label);
  return labels;
}

TEST(Ranking, ProbabilitiesAreThoseOfTheFormula) {
  const float logits[] = {1, -2, 0.5F, 3};
  float found[4];
  softmax(logits, 4, found);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  for (int c = 0; c < 4; ++c) EXPECT_NEAR(found[c], std::exp(static_cast<double>(logits[c])) / sum, 1e-7);
  // Numbers whose exponentials no type holds.
  const float large[] = {3000, 2990, -3000};
  softmax(large, 3, found);
  EXPECT_NEAR(found[0], 1 / (1 + std::exp(-10.0)), 1e-7);
  EXPECT_EQ(found[2], 0);
}

TEST(Ranking, TheMostProbableComeFirst) {
  const float logits[] = {1, 4, -2, 4, 0};
  EXPECT_EQ(labels(rank_classes(logits, 5, 3)), (std::vector<std::int64_t>{1, 3, 0}));
  EXPECT_EQ(labels(rank_classes(logits, 5, 99)), (std::vector<std::int64_t>{1, 3, 0, 4, 2}));
  EXPECT_TRUE(rank_classes(logits, 5, 0).empty());
  const float low[] = {-2000, -1000, 900, -1500};
  EXPECT_EQ(labels(rank_classes(low, 4, 4)), (std::vector<std::int64_t>{2, 1, 3, 0}));
  const float broken[] = {NAN, 1, -kInfinity, 2};
  EXPECT_EQ(labels(rank_classes(broken, 4, 2)), (std::vector<std::int64_t>{3, 1}));
}

const char* const kText = R"([network]
input = 3x6x5
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 4
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
[data]
kind = synthetic
class_names = ant, bee, cat, dog
)";

class Pictures : public ::testing::Test {
 protected:
  Pictures() : path_(::testing::TempDir() + "picture_test_" + std::to_string(::getpid())) {}
  ~Pictures() override { std::remove(path_.c_str()); }

  Model load(const std::string& more = "") {
    Registry registry;
    register_all(registry);
    Experiment experiment(Config::parse(kText + more, "net.ini"), registry);
    experiment.network().initialise(3);
    save(untrained_checkpoint(experiment, {{0.4, 0.5, 0.6}, {0.2, 0.25, 0.3}}), path_);
    return Model::load(path_);
  }
  void write(const std::string& bytes) { std::ofstream(path_, std::ios::binary) << bytes; }

  std::string path_;
};

TEST_F(Pictures, AreReadFromFilesAndBytes) {
  const Model model = load("eval_transforms = resize(7), center_crop(6x5)\n");
  const Picture picture = noise(14, 21, 3);
  const std::string file = png_of(picture);
  write(file);
  const std::vector<std::uint8_t> image = model.read_picture(path_);
  EXPECT_EQ(model.decode_picture(file), image);
  DecodeScratch scratch;
  Picture wanted = picture;
  Transforms("resize(7), center_crop(6x5)").apply(wanted, {}, false, {}, scratch);
  EXPECT_EQ(image, wanted.pixels);
  Session session(model);
  float logits[4];
  session.run(image.data(), 1, logits);
  const std::vector<RankedClass> ranked = session.classify(image.data(), 4);
  double sum = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    sum += ranked[i].probability;
    if (i > 0) {
      EXPECT_GE(logits[ranked[i - 1].label], logits[ranked[i].label]);
    }
  }
  EXPECT_NEAR(sum, 1, 1e-9);
  EXPECT_EQ(ranked[0].label, session.classify(image.data()));
}

TEST_F(Pictures, ThatCannotBeReadAreNamed) {
  const Model model = load();
  const auto message = [](const auto& call) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kData);
      return std::string(error.what());
    }
    return std::string();
  };
  write("GIF89a");
  EXPECT_EQ(message([&] { model.read_picture(path_); }),
            path_ + ": it is a GIF picture, expected JPEG, PNG, WebP, BMP, PPM or PGM");
  EXPECT_EQ(message([&] { model.decode_picture(""); }), "the file is empty");
  EXPECT_EQ(message([&] { model.read_picture("no/where.png"); }),
            "no/where.png: cannot be read: No such file or directory");
}

}  // namespace
}  // namespace sluice
