// golden_check fails where it should: small files of its two layouts, each with one thing wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>

#include "core/base/error.hpp"
#include "core/checkpoint/hdf5.hpp"
#include "tests/golden_check/comparison.hpp"

namespace sluice {
namespace {

using ::testing::HasSubstr;
using Values = std::vector<double>;

struct Outcome {
  int code;
  std::string text;
};

Outcome run(const std::string& arguments) {
  FILE* const pipe = popen((std::string(GOLDEN_CHECK) + " " + arguments + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw Error(ExitCode::kInternal, "cannot start golden_check");
  std::string text;
  char buffer[4096];
  for (std::size_t n = 0; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text};
}

class GoldenCheck : public ::testing::Test {
 protected:
  GoldenCheck() : path_(concat(::testing::TempDir(), "golden_", getpid(), ".h5")) {}
  ~GoldenCheck() override { std::filesystem::remove(path_); }

  Outcome check(Hdf5File& file) {
    const std::vector<char> bytes = file.image();
    std::ofstream(path_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return run(path_);
  }

  /// A case of `relu`; `change` spoils it.
  Outcome check_relu(const std::function<void(Hdf5Group&, std::map<std::string, Values>&)>& change) {
    Hdf5File file = Hdf5File::create_image(path_, ExitCode::kData);
    std::map<std::string, Values> data = {
        {"x", {-1, 2, 0.5, -3}}, {"y", {0, 2, 0.5, 0}}, {"grad_y", {1, 2, 3, 4}}, {"grad_x", {0, 2, 3, 0}}};
    {
      Hdf5Group group = file.create_group("relu_0");
      change(group, data);
      if (!group.has_attribute("type")) group.write_attribute("type", "relu");
      for (const auto& [name, values] : data) group.write(name, Shape{2, 2}, values.data());
    }
    return check(file);
  }

  std::string path_;
};

TEST_F(GoldenCheck, PassesWhatIsRight) {
  const Outcome outcome = check_relu([](Hdf5Group&, auto&) {});
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("ok    relu_0; training 0 of 1e-05 (y); gradients 0 of 1e-05 (grad_x)\n"));
  EXPECT_THAT(outcome.text, HasSubstr("1 of 1 within tolerance"));
}

TEST_F(GoldenCheck, FailsWhereAValueIsOff) {
  const Outcome outcome = check_relu([](Hdf5Group&, auto& data) { data["grad_x"][1] = 2.003; });
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.text, HasSubstr("FAIL  relu_0"));
  EXPECT_THAT(outcome.text, HasSubstr("gradients 0.001 exceeds 1e-05 (grad_x)"));
}

TEST_F(GoldenCheck, FailsOnNaN) {
  const Outcome outcome =
      check_relu([](Hdf5Group&, auto& data) { data["y"][0] = std::numeric_limits<double>::quiet_NaN(); });
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.text, HasSubstr("training inf exceeds 1e-05 (y)"));
}

TEST_F(GoldenCheck, FailsWhereADataSetIsMissing) {
  const Outcome outcome = check_relu([](Hdf5Group&, auto& data) { data.erase("grad_x"); });
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.text, HasSubstr("FAIL  relu_0"));
  EXPECT_THAT(outcome.text, HasSubstr("grad_x"));
}

TEST_F(GoldenCheck, FailsWhereADataSetBelongsToNothing) {
  const Outcome outcome = check_relu([](Hdf5Group&, auto& data) { data["grad_slope"] = {1, 2, 3, 4}; });
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.text, HasSubstr("data set 'grad_slope' belongs to nothing in the layer"));
}

TEST_F(GoldenCheck, FailsOnAnAttributeThatIsNoKey) {
  const Outcome outcome = check_relu([](Hdf5Group& group, auto&) { group.write_attribute("slope", 0.5); });
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.text, HasSubstr("attribute 'slope' is no key of 'relu'"));
}

TEST_F(GoldenCheck, FailsOnATypeThatIsNotBuilt) {
  const Outcome outcome = check_relu([](Hdf5Group& group, auto&) { group.write_attribute("type", "no_such_layer"); });
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.text, HasSubstr("layer type 'no_such_layer' is not built"));
}

TEST_F(GoldenCheck, FailsOnAWrongGateCount) {
  const Outcome outcome =
      check_relu([](Hdf5Group& group, auto&) { group.write_attribute("num_taken", std::int64_t{3}); });
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.text, HasSubstr("num_taken: counted 0, the file has 3"));
}

TEST_F(GoldenCheck, RefusesWhatItCannotRead) {
  EXPECT_EQ(run("").code, 2);
  EXPECT_EQ(run("--no-such-flag").code, 2);
  EXPECT_EQ(run("--help").code, 0);
  EXPECT_EQ(run(path_ + ".absent").code, 3);
  Hdf5File empty = Hdf5File::create_image(path_, ExitCode::kData);
  const Outcome outcome = check(empty);
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.text, HasSubstr("no cases; expected one group a case"));
}

/// Copies a group but for what `keep` refuses; `change` may spoil values.
void copy(const Hdf5Group& from, Hdf5Group& to, const std::string& prefix,
          const std::function<bool(const std::string&, Values&)>& keep) {
  for (const std::string& name : from.attributes()) {
    switch (from.attribute_type(name).kind) {
      case ElementType::Kind::kText:
        to.write_attribute(name, from.text_attribute(name).at(0));
        break;
      case ElementType::Kind::kFloat:
        to.write_attribute(name, from.attribute<double>(name).at(0));
        break;
      default:
        to.write_attribute(name, from.attribute<std::int64_t>(name).at(0));
    }
  }
  for (const std::string& name : from.members()) {
    if (from.kind(name) == Hdf5Group::Kind::kGroup) {
      Hdf5Group below = to.create_group(name);
      copy(from.group(name), below, prefix + name + "/", keep);
      continue;
    }
    const Hdf5DataSet data = from.data_set(name);
    Values values = data.read<double>();
    if (keep(prefix + name, values)) to.write(name, data.shape(), values.data());
  }
}

class GoldenCheckNetwork : public GoldenCheck {
 protected:
  Outcome check_dense(const std::function<bool(const std::string&, Values&)>& keep) {
    const Hdf5File golden = Hdf5File::open(SLUICE_SOURCE_DIR "/tests/golden/networks.h5", ExitCode::kData);
    Hdf5File file = Hdf5File::create_image(path_, ExitCode::kData);
    {
      Hdf5Group group = file.create_group("dense");
      copy(golden.group("dense"), group, "", keep);
    }
    return check(file);
  }

  /// One value of a data set is changed by a share of the largest.
  Outcome check_changed(const std::string& name, double share) {
    return check_dense([&](const std::string& at, Values& values) {
      if (at == name) values[0] += share * *std::max_element(values.begin(), values.end());
      return true;
    });
  }
};

TEST_F(GoldenCheckNetwork, PassesACopy) {
  const Outcome outcome = check_dense([](const std::string&, Values&) { return true; });
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("2 of 2 within tolerance"));
}

TEST_F(GoldenCheckNetwork, FailsWhereAValueIsOff) {
  const std::pair<const char*, const char*> cases[] = {
      {"train_logits", "first step"}, {"grad/layer2.0.conv1.weight", "first step"}, {"grad/bn1.bias", "first step"},
      {"cross_entropy", "losses"},    {"after/layer1.0.bn2.running_var", "after"},  {"after/linear.bias", "after"},
      {"eval_logits", "evaluation"}};
  for (const auto& [name, kind] : cases) {
    const Outcome outcome = check_changed(name, 0.01);
    EXPECT_EQ(outcome.code, 1) << name;
    EXPECT_THAT(outcome.text, ::testing::ContainsRegex(std::string(kind) + " [^ ]* exceeds [^ ]* \\(" + name));
  }
}

TEST_F(GoldenCheckNetwork, FailsWhereADataSetIsMissing) {
  const std::pair<const char*, const char*> cases[] = {{"grad/linear.bias", "grad lacks linear/bias"},
                                                       {"before/bn1.running_mean", "before lacks bn1/running_mean"},
                                                       {"after/conv1.weight", "after lacks conv1/weight"}};
  for (const auto& [name, message] : cases) {
    const Outcome outcome = check_dense([&](const std::string& at, Values&) { return at != name; });
    EXPECT_EQ(outcome.code, 1) << name;
    EXPECT_THAT(outcome.text, HasSubstr(message));
  }
}

CaseReport network_report(const std::string& name, double first_step, double after) {
  CaseReport report(name);
  report.compare("first step", 1e-4, "grad", {first_step}, {1});
  report.compare("after", 2e-3, "weight", {after}, {1});
  return report;
}

TEST(GoldenCheckEdge, ExcusesOneRunThatPartsAfterTheFirstStep) {
  CaseReport good = network_report("good", 1, 1), parted = network_report("parted", 1, 1.01);
  excuse_edge(parted, good);
  EXPECT_TRUE(parted.passed());
  EXPECT_FALSE(parted.within());
  EXPECT_THAT(parted.text(), HasSubstr("edge  parted: "));
  EXPECT_THAT(good.text(), HasSubstr("ok    good;"));
}

TEST(GoldenCheckEdge, ExcusesNothingElse) {
  CaseReport good = network_report("good", 1, 1), early = network_report("early", 1.01, 1.01);
  excuse_edge(good, early);
  EXPECT_FALSE(early.passed()) << "wrong in the first step";
  CaseReport one = network_report("one", 1, 1.01), other = one;
  excuse_edge(one, other);
  EXPECT_FALSE(one.passed() || other.passed()) << "neither is within tolerance";
  CaseReport lacking = network_report("lacking", 1, 1);
  lacking.fail("grad lacks linear/bias");
  excuse_edge(good, lacking);
  EXPECT_FALSE(lacking.passed()) << "a failure without a size";
}

}  // namespace
}  // namespace sluice
