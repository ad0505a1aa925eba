// What a network reads: `data`, `labels` and the inputs that layers declare, given by name and read where they lie.
#include <gmock/gmock.h>

#include "core/base/error.hpp"
#include "tests/core/graph/networks.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;

/// dst = factor[n] src, or src where nobody gives the input `factor`.
class ScaleOp : public Op {
 public:
  void forward(const Context& c) override {
    const auto* const factor = c.inputs[0].as<const float>();
    const std::int64_t count = c.dst.desc.count(), image = count / c.dst.shape()[kN];
    for (std::int64_t i = 0; i < count; ++i)
      c.dst.as<float>()[i] = c.src[0].as<const float>()[i] * (factor != nullptr ? factor[i / image] : 1);
  }
};

class Scale : public Layer {
 public:
  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    declare.dst = src[0];
    declare.input("factor", {src[0][kN]});
  }
  std::unique_ptr<Op> make_op(const OpRequest&, OpNeeds&) const override { return std::make_unique<ScaleOp>(); }
};

class Inputs : public ::testing::Test {
 protected:
  static constexpr std::int64_t kImages = 2, kImage = 32 * 2 * 3;

  Inputs() {
    register_layers(registry_);
    registry_.add_layer("scale", "images times a factor", [](Keys&) { return std::make_unique<Scale>(); });
    for (std::size_t i = 0; i < images_.size(); ++i) images_[i] = static_cast<float>(i) - 50;
  }

  Network& network(const std::string& layers = "[layer.one]\ntype = scale\n[layer.two]\ntype = scale\n") {
    Config config = Config::parse("[network]\ninput = 32x2x3\n" + layers, "net.ini");
    network_ = std::make_unique<Network>(config, registry_);
    config.check();
    return *network_;
  }

  /// The answer's first number of each image.
  static std::vector<float> first_numbers(Executor& executor) {
    run_step(executor);
    const auto* const answer = executor.logits().as<const float>();
    return {answer[0], answer[executor.logits().desc.count() / kImages]};
  }

  Registry registry_;
  std::unique_ptr<Network> network_;
  std::vector<float> images_ = std::vector<float>(kImages * kImage);
};

TEST_F(Inputs, AreAListWithShapesAndTypes) {
  std::vector<std::string> all;
  for (const NetworkInput& input : network().inputs())
    all.push_back(concat(input.name, " ", to_string(input.shape), " ", to_string(input.type)));
  EXPECT_THAT(all, ElementsAre("data 1x32x2x3 f32", "labels 1 s32", "one:factor 1 f32", "two:factor 1 f32"));
  EXPECT_EQ(network_->name(kLabelsSource), "labels");
}

TEST_F(Inputs, AreOfTheirSliceOfTheBatch) {
  ExecutorOptions options = options_of(Mode::kInference, kImages);
  options.slice = 1;
  Executor executor(network(), options);
  executor.lend_batch(images_.data(), nullptr);
  const std::vector<float> factor = {2, 3};
  executor.set_input("one:factor", factor.data());
  EXPECT_THAT(first_numbers(executor), ElementsAre(-100, 426));
  executor.set_input("one:factor", nullptr);
  EXPECT_THAT(first_numbers(executor), ElementsAre(-50, 142));
}

TEST_F(Inputs, AreGivenByNameAndReadAtEachForward) {
  Executor executor(network(), options_of(Mode::kInference, kImages));
  executor.lend_batch(images_.data(), nullptr);
  EXPECT_THAT(first_numbers(executor), ElementsAre(-50, 142)) << "nobody gave a factor";
  std::vector<float> factor = {2, 3};
  executor.set_input("one:factor", factor.data());
  EXPECT_THAT(first_numbers(executor), ElementsAre(-100, 426));
  executor.set_input("two:factor", factor.data());
  factor[1] = 10;
  EXPECT_THAT(first_numbers(executor), ElementsAre(-200, 14200));
  executor.set_input("one:factor", nullptr);
  EXPECT_THAT(first_numbers(executor), ElementsAre(-100, 1420));
  const std::vector<float> others(images_.size(), 1);
  executor.set_input("data", others.data());
  EXPECT_THAT(first_numbers(executor), ElementsAre(2, 10));
}

TEST_F(Inputs, AnUnknownNameIsRefusedWithThoseThatThereAre) {
  Executor executor(network(), options_of(Mode::kInference, kImages));
  try {
    executor.set_input("factor", images_.data());
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    EXPECT_STREQ(error.what(), "the network has no input 'factor'; it has data, labels, one:factor, two:factor");
  }
}

TEST_F(Inputs, ALentBatchIsReadWhereItLies) {
  Executor executor(network(), options_of(Mode::kInference, kImages));
  executor.lend_batch(images_.data(), nullptr);
  EXPECT_EQ(executor.result(kDataSource).data, images_.data()) << "no copy";
  images_[0] = 7;
  EXPECT_THAT(first_numbers(executor), ElementsAre(7, 142));
  executor.set_batch(images_.data(), nullptr);
  images_[0] = 8;
  EXPECT_THAT(first_numbers(executor), ElementsAre(7, 142)) << "a copy";
}

/// Blocks of 16 channels, and bf16: the executor's own memory, filled when the batch is lent.
TEST_F(Inputs, ABatchOfAnotherLayoutIsConverted) {
  ExecutorOptions blocked = options_of(Mode::kInference, kImages), plain = blocked;
  blocked.layout = ExecutorOptions::LayoutChoice::kBlocked;
  plain.layout = ExecutorOptions::LayoutChoice::kNhwc;
  const std::string layers = "[layer.relu]\ntype = relu\n[layer.flat]\ntype = flatten\n";
  Network& flat = network(layers);
  Executor converts(flat, blocked), reads(flat, plain);
  for (Executor* executor : {&converts, &reads}) {
    executor->lend_batch(images_.data(), nullptr);
    run_step(*executor);
  }
  EXPECT_NE(converts.result(kDataSource).data, images_.data());
  EXPECT_EQ(converts.result(kDataSource).desc.block, 16);
  EXPECT_TRUE(same_bits(logits_of(converts), logits_of(reads)));
}

TEST_F(Inputs, AnAddendMayBeLentToo) {
  Network& sum =
      network("[layer.conv]\ntype = conv\nchannels = 32\nkernel = 1\n[layer.add]\ntype = add\nfrom = conv, data\n");
  ExecutorOptions options = options_of(Mode::kInference, kImages);
  options.layout = ExecutorOptions::LayoutChoice::kNhwc;
  Executor executor(sum, options);
  ASSERT_EQ(executor.operations().size(), 1U) << "the sum is the convolution's";
  for (int round = 0; round < 2; ++round) {
    executor.lend_batch(images_.data(), nullptr);
    EXPECT_THAT(first_numbers(executor), ElementsAre(images_[0], images_[kImage])) << "all weights are 0";
    for (float& value : images_) value *= 2;
  }
}

TEST_F(Inputs, WithoutLabelsAllAreOfTheFirstClass) {
  Network& classifier =
      network("[layer.pool]\ntype = global_pool\n[layer.loss]\ntype = softmax_cross_entropy\nfrom = pool, labels\n");
  Executor executor(classifier, options_of(Mode::kInference, kImages));
  const std::vector<std::int32_t> labels = {3, 5}, zeros = {0, 0};
  std::vector<double> losses;
  for (const std::int32_t* given : {labels.data(), zeros.data(), static_cast<const std::int32_t*>(nullptr)}) {
    executor.lend_batch(images_.data(), given);
    run_step(executor);
    losses.push_back(executor.loss());
  }
  EXPECT_NE(losses[0], losses[1]);
  EXPECT_EQ(losses[1], losses[2]);
}

TEST_F(Inputs, NothingRunsWithoutImages) {
  Executor executor(network(), options_of(Mode::kInference, kImages));
  executor.refresh();
  try {
    executor.forward();
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInternal);
    EXPECT_STREQ(error.what(), "an executor runs before it has images; call set_batch first");
  }
}

TEST(DeclaredNames, AreWordsAndStandOnce) {
  const auto error_of = [](auto&& declare) -> std::string {
    Declarations declarations;
    try {
      declare(declarations);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kInternal);
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(error_of([](Declarations& d) { d.result("a:b", {1}); }),
            "a layer declares the result 'a:b', which is no name");
  EXPECT_EQ(error_of([](Declarations& d) { d.input("", {1}); }), "a layer declares the input '', which is no name");
  EXPECT_EQ(error_of([](Declarations& d) { d.result("1", {1}), d.result("1", {2}); }),
            "a layer declares the result '1' twice");
  EXPECT_EQ(error_of([](Declarations& d) { d.input("x", {1}), d.result("x", {1}); }), "no error");
}

}  // namespace
}  // namespace sluice
