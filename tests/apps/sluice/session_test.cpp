// A model serves what its checkpoint holds, to any number of sessions.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <thread>

#include "core/base/random.hpp"
#include "sluice/model.hpp"
#include "sluice/train.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kImages = 7, kClasses = 4, kValues = 3 * 6 * 5;
const char* const kText = R"([network]
input = 3x6x5
[layer.conv]
type = conv
channels = 16
kernel = 3
pad = 1
[layer.bn]
type = batchnorm
[layer.relu]
type = relu
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

class Sessions : public ::testing::Test {
 protected:
  Sessions() : path_(::testing::TempDir() + "session_test_" + std::to_string(::getpid()) + ".h5") {
    register_all(registry_);
    Experiment experiment(Config::parse(kText, "net.ini"), registry_);
    experiment.network().initialise(3);
    save(untrained_checkpoint(experiment, normalization_), path_);
    Random random(11, Purpose::kTest);
    for (std::int64_t i = 0; i < kImages * kValues; ++i) bytes_.push_back(static_cast<std::uint8_t>(random.below(256)));
    for (std::int64_t i = 0; i < kImages * kValues; ++i) {
      const auto channel = static_cast<std::size_t>(i % 3);
      floats_.push_back(static_cast<float>(
          (bytes_[static_cast<std::size_t>(i)] / 255.0 - normalization_.mean[channel]) / normalization_.std[channel]));
    }
    expected_ = answer_of(experiment);
  }
  ~Sessions() override { std::remove(path_.c_str()); }

  /// What an executor of the network itself says.
  std::vector<float> answer_of(Experiment& experiment) const {
    Executor executor(experiment.network(), experiment.executor_options(Mode::kInference, kImages));
    executor.refresh();
    executor.set_batch(floats_.data(), nullptr);
    executor.forward();
    const float* const logits = executor.logits().as<const float>();
    return {logits, logits + kImages * kClasses};
  }

  void expect_answer(const std::vector<float>& logits, std::int64_t count = kImages) const {
    for (std::size_t i = 0; i < static_cast<std::size_t>(count * kClasses); ++i)
      ASSERT_NEAR(logits[i], expected_[i], 1e-5) << "at " << i;
  }

  const Normalization normalization_{{0.4, 0.5, 0.6}, {0.2, 0.25, 0.3}};
  std::string path_;
  Registry registry_;
  std::vector<std::uint8_t> bytes_;
  std::vector<float> floats_, expected_;
};

TEST_F(Sessions, AnswerBytesAndFloatsInAnyBatch) {
  const Model model = Model::load(path_);
  for (const std::int64_t batch : {1, 2, 3, 7, 16}) {
    Session session(model, batch);
    for (const std::int64_t count : {kImages, std::int64_t{1}, std::int64_t{4}}) {
      std::vector<float> logits(static_cast<std::size_t>(count * kClasses), -1.0F);
      session.run(bytes_.data(), count, logits.data());
      expect_answer(logits, count);
      std::fill(logits.begin(), logits.end(), -1.0F);
      session.run(floats_.data(), count, logits.data());
      expect_answer(logits, count);
    }
  }
}

TEST_F(Sessions, WriteNoMoreThanTheyAreAskedFor) {
  Session session(Model::load(path_), 4);
  std::vector<float> logits(kClasses + 1, -7.0F);
  session.run(bytes_.data(), 0, logits.data());
  EXPECT_EQ(logits[0], -7.0F);
  session.run(bytes_.data(), 1, logits.data());
  EXPECT_EQ(logits[kClasses], -7.0F);
}

/// What is wrong with a use of the library.
template <class Function>
std::string error_text(Function function) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "no error";
}

TEST_F(Sessions, TheOnlyOneAnswersTheSame) {
  for (const std::int64_t batch : {1, 7}) {
    Session session = Session::only(Model::load(path_), batch);
    std::vector<float> logits(kImages * kClasses);
    for (int time = 0; time < 2; ++time) {
      session.run(bytes_.data(), kImages, logits.data());
      expect_answer(logits);
    }
    EXPECT_EQ(session.model().class_names()[1], "bee");
    EXPECT_EQ(error_text([&] { const Session another(session.model()); }),
              "session: the weights of this model went into its only session (Session::only); load the model again for "
              "another");
  }
}

TEST_F(Sessions, TheOnlyOneNeedsTheModelAlone) {
  Model model = Model::load(path_);
  {
    const Model copy = model;
    EXPECT_EQ(error_text([&] { const Session only = Session::only(std::move(model)); }),
              "session: this model has 2 owners (copies of it and sessions), and Session::only needs it alone");
    Session session(model, kImages);
    std::vector<float> logits(kImages * kClasses);
    session.run(bytes_.data(), kImages, logits.data());
    expect_answer(logits);
  }
  Session session = Session::only(std::move(model), kImages);
  std::vector<float> logits(kImages * kClasses);
  session.run(bytes_.data(), kImages, logits.data());
  expect_answer(logits);
}

TEST_F(Sessions, WorkSideBySide) {
  const int threads = num_threads();
  set_threads(1);
  const Model model = Model::load(path_);
  std::vector<std::vector<float>> answers(4, std::vector<float>(kImages * kClasses));
  std::vector<std::thread> workers;
  for (std::vector<float>& answer : answers) {
    workers.emplace_back([&] {
      Session session(model);
      for (int round = 0; round < 20; ++round) session.run(bytes_.data(), kImages, answer.data());
    });
  }
  for (std::thread& worker : workers) worker.join();
  for (const std::vector<float>& answer : answers) expect_answer(answer);
  set_threads(threads);
}

TEST_F(Sessions, ComputeOnTheThreadsThatWereSet) {
  const int threads = num_threads();
  for (const int wanted : {1, 2}) {
    set_threads(wanted);
    int seen = 0;
    std::thread([&] { seen = num_threads(); }).join();
    EXPECT_EQ(seen, wanted);
  }
  set_threads(threads);
}

// With several threads the child lacks those of the parent; with one it answers.
TEST_F(Sessions, ThrowInAForkedChildThatLostItsThreads) {
  const int threads = num_threads();
  for (const int wanted : {1, 2}) {
    set_threads(wanted);
    Session session(Model::load(path_));
    std::vector<float> logits(kImages * kClasses);
    session.run(bytes_.data(), kImages, logits.data());
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);  // a child that waits for ever says nothing
      try {
        session.run(bytes_.data(), kImages, logits.data());
      } catch (const Error& error) {
        _exit(static_cast<int>(error.code()));
      }
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), wanted == 1 ? 0 : static_cast<int>(ExitCode::kEnvironment));
  }
  set_threads(threads);
}

TEST_F(Sessions, ClassifyByTheLargestLogit) {
  Session session(Model::load(path_), 3);
  for (std::int64_t i = 0; i < kImages; ++i) {
    const float* const row = expected_.data() + i * kClasses;
    EXPECT_EQ(session.classify(bytes_.data() + i * kValues), std::max_element(row, row + kClasses) - row) << i;
  }
}

TEST_F(Sessions, OutliveTheNameOfTheirModel) {
  auto model = std::make_unique<Model>(Model::load(path_));
  Session first(*model);
  model.reset();
  Session session = std::move(first);
  EXPECT_EQ(session.model().classes(), kClasses);
  std::vector<float> logits(kImages * kClasses);
  session.run(bytes_.data(), kImages, logits.data());
  expect_answer(logits);
}

TEST_F(Sessions, RefuseAnEmptyBatch) {
  EXPECT_THROW(Session(Model::load(path_), 0), Error);
}

TEST_F(Sessions, NormaliseAsTheConfigurationSaysOrTheCheckpoint) {
  EXPECT_EQ(Model::load(path_).std(), normalization_.std);
  const Model model = Model::load(path_, {"--data.mean=0.1", "--data.std=0.5"});
  EXPECT_EQ(model.mean(), (std::vector<double>{0.1, 0.1, 0.1}));
  Experiment experiment(Config::parse(kText, "net.ini"), registry_);
  save(untrained_checkpoint(experiment, {}), path_);
  EXPECT_THROW(Model::load(path_), Error);  // rather than guess
}

TEST_F(Sessions, AModelKnowsItsImagesAndClasses) {
  const Model model = Model::load(path_, {"--run.threads=1"});
  EXPECT_EQ(to_string(model.image()), "3x6x5");
  EXPECT_EQ(model.classes(), kClasses);
  EXPECT_EQ(model.class_names(), (std::vector<std::string>{"ant", "bee", "cat", "dog"}));
  EXPECT_EQ(model.mean(), normalization_.mean);
}

/// A layer type of the program: relu by another name.
void register_own(Registry& registry) {
  registry.add_layer("own", "max(x, 0)", [](Keys& keys) {
    Registry standard;
    register_layers(standard);
    return standard.make("relu", keys);
  });
}

TEST_F(Sessions, AModelTakesLayersOfTheProgram) {
  std::string text = kText;
  text.replace(text.find("type = relu"), 11, "type = own");
  register_own(registry_);
  Experiment experiment(Config::parse(text, "net.ini"), registry_);
  experiment.network().initialise(3);
  save(untrained_checkpoint(experiment, normalization_), path_);
  EXPECT_THROW(Model::load(path_), Error);
  Session session(Model::load(path_, {}, register_own), kImages);
  std::vector<float> logits(kImages * kClasses);
  session.run(bytes_.data(), kImages, logits.data());
  expect_answer(logits);
}

TEST_F(Sessions, AModelRefusesWhatItCannotServe) {
  const auto code = [&](const std::string& path, const std::vector<std::string>& overrides) {
    try {
      Model::load(path, overrides);
    } catch (const Error& error) {
      return error.code();
    }
    return ExitCode::kInternal;  // no error at all
  };
  EXPECT_EQ(code(path_ + ".missing", {}), ExitCode::kCheckpoint);
  EXPECT_EQ(code(path_, {"--run.tempo=fast"}), ExitCode::kUsage);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Normalization& bad : {Normalization{{0.4, 0.5, 0.6}, {0.2, 0, 0.3}}, Normalization{{0.4, 0.5}, {0.2, 0.3}},
                                   Normalization{{0.4, nan, 0.6}, {0.2, 0.25, 0.3}}}) {
    save(untrained_checkpoint(Experiment(Config::parse(kText, "net.ini"), registry_), bad), path_);
    EXPECT_EQ(code(path_, {}), ExitCode::kCheckpoint);
    EXPECT_EQ(code(path_, {"--data.mean=0.5", "--data.std=0.25"}), ExitCode::kInternal);  // is served
  }
}

}  // namespace
}  // namespace sluice
