// The inspector: what it prints, what it finds wrong, what it says about files of other programs and damaged ones.
#include "core/checkpoint/inspect.hpp"

#include <gmock/gmock.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/checkpoint/hdf5.hpp"
#include "core/checkpoint/seal.hpp"
#include "tests/core/checkpoint/sample.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

class Inspect : public InDirectory {
 protected:
  void SetUp() override {
    InDirectory::SetUp();
    save(sample_checkpoint(), path("a.h5"));
    options_.file = path("a.h5");
    options_.deciding = {"threshold"};
  }
  /// Standard output; the exit code goes to code_, warnings to err_.
  std::string run() {
    std::ostringstream out, err;
    code_ = inspect(options_, out, err);
    err_ = err.str();
    return out.str();
  }
  Json run_json() {
    options_.json = true;
    return Json::parse(run());
  }
  std::vector<std::string> problems_of(const std::function<void(Checkpoint&)>& change) {
    Checkpoint checkpoint = sample_checkpoint();
    change(checkpoint);
    save(checkpoint, path("a.h5"));
    options_.verify = true;
    const Json json = run_json();
    EXPECT_EQ(json["ok"], json["problems"].empty());
    EXPECT_EQ(code_, json["problems"].empty() ? 0 : 5);
    return json["problems"].get<std::vector<std::string>>();
  }
  /// The file without its seal, as another program would have written it.
  void remove_seal(const std::string& name) {
    const std::string bytes = bytes_in(path(name));
    write_file(path(name), bytes.substr(0, bytes.size() - static_cast<std::size_t>(kSealBytes)));
  }

  InspectOptions options_;
  int code_ = -1;
  std::string err_;
};

TEST_F(Inspect, ShowsHeaderAndTensorsInNetworkOrder) {
  const std::string text = run();
  EXPECT_EQ(code_, 0);
  for (const char* line :
       {"seal intact)\n", "kind           full, format 1.5\n", "state          best = 0.3\n",
        "               step = 1234\n", "last metrics   epoch = 3\n", "               train_loss = nan\n",
        "normalisation  mean 0.4914 0.4822 0.4465, std 0.247 0.2435 0.2616\n", "classes        3: cat, , d\xc3\xb6g\n",
        "trained on     60000 images of 3x32x30, 5000 of them held out, digest aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
        "tested on      10000 images of 3x32x30, digest cccccccccccccccccccccccccccccccc\n",
        "               host = node7\n", "tensor                     dtype    shape    elements    MiB     %\n",
        "  conv1/weight             float32  5x3x3x2        90  0.000  29.7\n",
        "  linear/scale             float32  scalar          1  0.000   0.3\n", "= weights/layer1.0.conv1/weight\n",
        "8 tensors, 303 elements, 1.2 KiB; buffers 5; optimizer 90; weights 208\n"})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_LT(text.find("conv1/weight"), text.find("bn1/scale"));
  EXPECT_LT(text.find("layer1.0.gate/threshold"), text.find("linear/weight"));
}

TEST_F(Inspect, JsonSaysTheSame) {
  const Json json = run_json();
  EXPECT_EQ(json["seal"], "intact");
  EXPECT_EQ(json["kind"], "full");
  EXPECT_EQ(json["content_digest"], content_digest(sample_checkpoint()));
  EXPECT_EQ(json["state"]["step"], 1234);
  EXPECT_EQ(json["state"]["best"], 0.1 + 0.2);
  EXPECT_TRUE(json["last_metrics"]["train_loss"].is_null());
  ASSERT_EQ(json["tensors"].size(), 8u);
  EXPECT_EQ(json["tensors"][0]["path"], "weights/conv1/weight");
  EXPECT_EQ(json["tensors"][0]["shape"], Json({5, 3, 3, 2}));
  EXPECT_EQ(json["tensors"][4]["alias_of"], "weights/layer1.0.conv1/weight");
  EXPECT_EQ(json["tensors"][4]["bytes"], 0);
}

TEST_F(Inspect, StatisticsOfTensors) {
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.tensors[1].values = {-1, 0, 0, 3, std::nanf("")};
  checkpoint.tensors[3].values = {1, 1, 1, 1, 1, 1, -HUGE_VALF};
  save(checkpoint, path("a.h5"));
  options_.stats = true;
  options_.filter = "weights/*[ne]*/[st]*";
  EXPECT_THAT(run(), HasSubstr("  bn1/scale                float32  5              5  0.000"));
  const Json tensors = run_json()["tensors"];
  ASSERT_EQ(tensors.size(), 3u);
  const Json bn = tensors[0]["stats"], gate = tensors[1]["stats"];
  EXPECT_EQ(bn["min"], -1.0);
  EXPECT_EQ(bn["max"], 3.0);
  EXPECT_EQ(bn["mean"], 0.5);
  EXPECT_DOUBLE_EQ(bn["std"].get<double>(), 1.5);
  EXPECT_EQ(bn["zero_share"], 0.4);
  EXPECT_EQ(bn["nan"], 1);
  EXPECT_EQ(gate["inf"], 1);
  EXPECT_EQ(gate["std"], 0.0);
}

TEST_F(Inspect, WhereNothingIsFiniteThereIsNoMean) {
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.tensors[1].values.assign(5, HUGE_VALF);
  save(checkpoint, path("a.h5"));
  options_.stats = true;
  options_.filter = "weights/*bn1/scale";
  EXPECT_THAT(run(), testing::ContainsRegex("bn1/scale .* - +- +- +0.0 +0 +5"));
  const Json json = run_json()["tensors"];
  ASSERT_EQ(json.size(), 1u);
  for (const char* name : {"min", "max", "mean", "std"}) EXPECT_TRUE(json[0]["stats"][name].is_null()) << name;
}

TEST_F(Inspect, ConfigHistoryAndGates) {
  options_.config = true;
  EXPECT_EQ(run(), sample_checkpoint().config);
  options_.config = false;
  options_.history = true;
  EXPECT_EQ(run(),
            "epoch  train_loss  density.layer1.0.gate\n"
            "    1      2.5000                    0.5\n"
            "    2      0.3333                   0.25\n"
            "    3           -                  0.125\n");
  options_.history = false;
  options_.decisions = true;
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.tensors[3].values = {0, 0, 0, 0.5f, 0, 0, 3};
  save(checkpoint, path("a.h5"));
  EXPECT_EQ(run(),
            "layer          threshold mean   range  density    cost  multiply-adds    dense   bits  bit cost\n"
            "layer1.0.gate             0.5  0 to 3   37.5 %  53.1 %           2125     4000   2.71    47.9 %\n"
            "whole network                           37.5 %  94.0 %        29.12 k  31.00 k  29.86    99.8 %\n"
            "for one image, counted in the last evaluation\n");
  options_.width = 60;
  EXPECT_THAT(run(), HasSubstr("layer          threshold mean  density   bits  bit cost\n"));
  options_.width = 0;
  const Json json = run_json();
  EXPECT_FALSE(json.contains("tensors"));
  ASSERT_EQ(json["gates"].size(), 1u);
  const Json gate = json["gates"][0], totals = json["gate_totals"];
  EXPECT_EQ(gate["layer"], "layer1.0.gate");
  EXPECT_EQ(gate["threshold"]["mean"], 0.5);
  EXPECT_EQ(gate["density"], 0.375);
  EXPECT_EQ(gate["macs_saved"], 3000 * 0.625);
  EXPECT_EQ(gate["bit_operations_executed"], 8 * (1000 * 2 + 1000 * 0.375 + 3000 * 3 * 0.375));
  EXPECT_EQ(gate["average_bits"], (1000 * 2.375 + 3000 * 0.375 * 3) / 2125);
  EXPECT_EQ(gate["statistics"]["images"], 10000);
  EXPECT_EQ(gate["evaluation"]["open"], 3);
  EXPECT_EQ(totals["counted_in"], "evaluation");
  EXPECT_EQ(totals["flop_reduction"], 31000.0 / 29125);
  EXPECT_EQ(totals["density"], 0.375);
}

TEST_F(Inspect, BitsAreShownOfWhatIsQuantised) {
  options_.decisions = true;
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.costs["layer1.0.gate"] = {{1000, 32, 32, false, "", ""}, {3000, 32, 32, false, "open", "total"}};
  save(checkpoint, path("a.h5"));
  EXPECT_THAT(run(), testing::ContainsRegex("  multiply-adds    dense\n.*  53.1 %           2125     4000\n"));
}

TEST_F(Inspect, ATimeIsThatOfTheRun) {
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.run = {
      {"host", "node7"}, {"elapsed_seconds", "5300"}, {"train_seconds", "100"}, {"data_wait_seconds", "0"}};
  save(checkpoint, path("a.h5"));
  const std::string text = run();
  EXPECT_THAT(text, HasSubstr("               time of training = 1.50 h\n"));
  EXPECT_THAT(text, Not(HasSubstr("seconds")));
  EXPECT_EQ(run_json()["run"]["train_seconds"], "100");
}

TEST_F(Inspect, GatesBeforeTheFirstEvaluationAndWithoutAny) {
  options_.decisions = true;
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.evaluation.clear();
  checkpoint.statistics["layer1.0.gate"] = {{"open", std::int64_t{1}}, {"total", std::int64_t{4}}};
  save(checkpoint, path("a.h5"));
  EXPECT_THAT(run(), HasSubstr("25.0 %  43.8 %           1750     4000"));
  EXPECT_THAT(run(), HasSubstr("for one image, counted in the training epoch\n"));
  checkpoint.statistics.clear();
  save(checkpoint, path("a.h5"));
  EXPECT_THAT(run(), HasSubstr("      -  100.0 %           4000     4000"));
  EXPECT_THAT(run(), HasSubstr("nothing was counted yet: all work is shown as done\n"));
  EXPECT_TRUE(run_json()["gates"][0]["density"].is_null());
  options_.json = false;
  // A dense network.
  checkpoint.costs.erase("layer1.0.gate");
  checkpoint.tensors.erase(checkpoint.tensors.begin() + 3);
  save(checkpoint, path("a.h5"));
  EXPECT_EQ(run(), "no layer has thresholds or work that depends on its images\n");
  EXPECT_EQ(run_json()["gates"].size(), 0u);
  EXPECT_EQ(run_json()["gate_totals"]["macs_dense"], 27000);
}

TEST_F(Inspect, DecisionsByTensorsOfAnyName) {
  options_.decisions = true;
  options_.deciding = {"limit", "threshold"};
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.tensors.push_back(random_tensor("weights/layer1.0.gate/limit", {2}, 1));
  checkpoint.tensors.back().values = {1, 2};
  save(checkpoint, path("a.h5"));
  EXPECT_THAT(run(), HasSubstr("layer          limit mean   range  threshold mean"));
  EXPECT_THAT(run(), HasSubstr("\nlayer1.0.gate         1.5  1 to 2 "));
  EXPECT_EQ(run_json()["gates"][0]["limit"]["max"], 2);
  options_.json = false;
  options_.deciding.clear();
  EXPECT_THAT(run(), HasSubstr("layer          density    cost  multiply-adds"));
  options_.filter = "linear*";
  EXPECT_EQ(run(), "no layer that matches has work that depends on its images\n");
}

TEST_F(Inspect, GatesOfAveragedWeights) {
  options_.decisions = true;
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.tensors.push_back(random_tensor("ema/weights/layer1.0.gate/threshold", {7}, 1));
  checkpoint.tensors.back().values.assign(7, 0.25F);
  save(checkpoint, path("a.h5"));
  EXPECT_EQ(run_json()["gates"][0]["threshold"]["max"], 0.25);
}

TEST_F(Inspect, GatesOfAnOlderFile) {
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.costs.clear();
  checkpoint.evaluation.clear();
  save(checkpoint, path("a.h5"));
  options_.decisions = true;
  const std::string text = run();
  EXPECT_THAT(text, HasSubstr("-     -              -      -\nthe file does not say what its layers cost: checkpoints "
                              "do from format 1.1 on\n"));
  EXPECT_TRUE(run_json()["gate_totals"].empty());
  options_.json = false;
  options_.filter = "linear*";
  EXPECT_THAT(run(), HasSubstr("no layer that matches has thresholds\n"));
}

TEST_F(Inspect, VerifyAcceptsIntactFiles) {
  options_.verify = true;
  EXPECT_EQ(run(), path("a.h5: intact\n"));
  EXPECT_EQ(code_, 0);
}

TEST_F(Inspect, VerifyNamesEveryProblem) {
  const std::string a = path("a.h5: ");
  EXPECT_THAT(problems_of([](Checkpoint& c) { c.layer_names.erase(c.layer_names.begin()); }),
              ElementsAre(a + "/weights/conv1/weight: layer 'conv1' is not among the 4 of /layer_names"));
  EXPECT_THAT(
      problems_of([](Checkpoint& c) {
        c.tensors[7] = random_tensor("optimizer/momentum/conv1/weight", {5, 3, 3, 3}, 1);
      }),
      ElementsAre(a + "/optimizer/momentum/conv1/weight: has shape 5x3x3x3, /weights/conv1/weight has 5x3x3x2"));
  EXPECT_THAT(problems_of([](Checkpoint& c) {
                c.tensors.push_back(random_tensor("ema/weights/bn1/scale", {5}, 1));
                c.tensors.push_back(random_tensor("ema/weights/conv1/weight", {5, 3, 3, 4}, 1));
                c.tensors.push_back(random_tensor("ema/buffers/bn1/running_mean", {5}, 1));
              }),
              ElementsAre(a + "/ema/weights/conv1/weight: has shape 5x3x3x4, /weights/conv1/weight has 5x3x3x2"));
  EXPECT_THAT(problems_of([](Checkpoint& c) {
                c.state.erase("epoch");
                c.state["step"] = 1.0;
              }),
              ElementsAre(a + "/state/epoch: is missing, a full checkpoint needs this integer",
                          a + "/state/step: is missing, a full checkpoint needs this integer"));
  EXPECT_THAT(problems_of([](Checkpoint& c) {
                c.state.clear();
                c.kind = Checkpoint::Kind::kWeightsOnly;
              }),
              ElementsAre());
  EXPECT_THAT(problems_of([](Checkpoint& c) { c.tensors[1].values[3] = NAN; }),
              ElementsAre(a + "/weights/bn1/scale: 1 NaN and 0 Inf among 5 values"));
  EXPECT_THAT(problems_of([](Checkpoint& c) {
                c.tensors.clear();
                c.std.pop_back();
              }),
              ElementsAre(a + "/weights: is missing, expected at least one tensor",
                          a + "/normalisation: 3 means and 2 deviations"));
}

TEST_F(Inspect, VerifyFailsOnDamageOfAnyKind) {
  options_.verify = true;
  const std::string good = bytes_in(path("a.h5"));
  Random random(3, Purpose::kTest);
  for (int i = 0; i < 40; ++i) {
    std::string bytes = good;
    const std::size_t bit = random.below(good.size() * 8);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    write_file(path("a.h5"), bytes);
    const std::string text = run();
    ASSERT_EQ(code_, 5) << "bit " << bit;
    ASSERT_THAT(text, HasSubstr("a.h5: is damaged: ")) << "bit " << bit;
  }
  write_file(path("a.h5"), good.substr(0, good.size() / 2));
  EXPECT_THAT(run(), HasSubstr("a.h5: is truncated: it ends after "));
  EXPECT_EQ(code_, 5);
  write_file(path("a.h5"), "[network]\n");
  EXPECT_THAT(run(), HasSubstr("a.h5: is no checkpoint: it does not begin with the signature of an HDF5 file\n"));
  EXPECT_EQ(code_, 5);
  options_.file = path("absent.h5");
  EXPECT_EQ(error_text([this] { run(); }, ExitCode::kCheckpoint),
            path("absent.h5: cannot open: No such file or directory"));
}

TEST_F(Inspect, ADamagedFileIsShownAsFarAsItGoes) {
  std::string bytes = bytes_in(path("a.h5"));
  bytes[bytes.find("input = 3x32x32")] = 'I';
  write_file(path("a.h5"), bytes);
  const std::string text = run();
  EXPECT_EQ(code_, 5);
  EXPECT_THAT(text, HasSubstr("damaged)"));
  EXPECT_THAT(text, HasSubstr("/config: cannot read it: data error detected by Fletcher32 checksum\n"));
  EXPECT_THAT(text, HasSubstr("31 groups, 27 data sets; no readable Sluice checkpoint\n"));
  EXPECT_THAT(text, HasSubstr("weights/conv1/\n  weight         float32  5x3x3x2        90"));
  EXPECT_THAT(err_, HasSubstr("its seal says "));
  EXPECT_THAT(err_, HasSubstr("; shown is what can still be read\n"));
  options_.config = true;
  EXPECT_THAT(error_text([this] { run(); }, ExitCode::kCheckpoint), HasSubstr("a.h5: is damaged: the digest of its "));
}

// Nothing that HDF5 makes of a damaged file without a seal may reach the parent but a message.
TEST_F(Inspect, DamagedFilesWithoutASealNeverHarm) {
  remove_seal("a.h5");
  const std::string good = bytes_in(path("a.h5"));
  options_.stats = true;
  options_.timeout_seconds = 10;
  Random random(4, Purpose::kTest);
  for (int i = 0; i < 150; ++i) {
    std::string bytes = good;
    for (int flips = 0; flips < 1 + i % 3; ++flips) {
      const std::size_t bit = random.below(good.size() * 8);
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    }
    write_file(path("a.h5"), bytes);
    try {
      run();
      EXPECT_TRUE(code_ == 0 || code_ == 5) << code_;
    } catch (const Error& error) {
      EXPECT_EQ(static_cast<int>(error.code()), 5) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(path("a.h5: ")));
    }
  }
}

TEST_F(Inspect, FilesOfOtherPrograms) {
  Hdf5File file = Hdf5File::create_image("x", ExitCode::kInternal);
  file.write_attribute("source", std::string("another program"));
  const std::vector<double> values = {1, 2, 3, 4, 5, 6};
  file.write("conv1.weight", Shape{2, 3}, values.data());
  file.write("conv1.threshold", Shape{6}, values.data());
  file.write_text("note", "text");
  std::vector<char> bytes = file.image();
  write_file(path("a.h5"), std::string(bytes.begin(), bytes.end()));
  const std::string text = run();
  EXPECT_EQ(code_, 0);
  EXPECT_EQ(err_, "");
  EXPECT_THAT(text,
              HasSubstr("1 groups, 3 data sets; no readable Sluice checkpoint\n/         source = another program\n"));
  EXPECT_THAT(text, HasSubstr("conv1.weight     float64  2x3            6  0.000  48.0\n"));
  options_.decisions = true;
  EXPECT_THAT(run(), HasSubstr("conv1             3.5  1 to 6        -     -              -      -\nthe file does"));
  options_.config = true;
  EXPECT_EQ(error_text([this] { run(); }, ExitCode::kCheckpoint), path("a.h5: holds no configuration"));
  options_.decisions = options_.config = false;
  options_.verify = true;
  const Json json = run_json();
  EXPECT_EQ(code_, 5);
  EXPECT_THAT(json["problems"][0].get<std::string>(), HasSubstr("a.h5: carries no seal: "));
  EXPECT_EQ(json["problems"][1], path("a.h5: is no checkpoint: it has no /format_version or no /tensor_names"));
}

class InspectDiff : public Inspect {
 protected:
  std::string diff(const std::function<void(Checkpoint&)>& change) {
    Checkpoint checkpoint = sample_checkpoint();
    change(checkpoint);
    save(checkpoint, path("b.h5"));
    options_.diff = path("b.h5");
    return run();
  }
};

TEST_F(InspectDiff, EqualButForTheRun) {
  EXPECT_EQ(diff([](Checkpoint& c) { c.run["host"] = "other"; }), "equal: 8 tensors\n");
  EXPECT_EQ(code_, 0);
}

TEST_F(InspectDiff, TensorsThatDiffer) {
  const auto change = [](Checkpoint& c) {
    c.tensors[1].values = sample_checkpoint().tensors[1].values;
    for (float& value : c.tensors[1].values) value *= 2;
    c.tensors[2] = random_tensor("weights/layer1.0.conv1/weight", {7, 5, 3, 1}, 3);
    c.tensors[4].shape = {7, 5, 3, 1};
    c.tensors[6].path = "buffers/bn1/running_var";
    c.state["epoch"] = std::int64_t{4};
  };
  const std::string text = diff(change);
  EXPECT_EQ(code_, 1);
  EXPECT_THAT(text, HasSubstr("\n  layer1.0.conv1/weight  float32 7x5x1x3 against float32 7x5x3x1\n"));
  EXPECT_THAT(text, HasSubstr("only in " + path("a.h5: buffers/bn1/running_mean\n")));
  EXPECT_THAT(text, HasSubstr("only in " + path("b.h5: buffers/bn1/running_var\n")));
  EXPECT_THAT(text, HasSubstr("state epoch: 3 against 4\n"));
  EXPECT_THAT(text, HasSubstr("different: 3 of 7 common tensors, 2 in one file only, 1 other differences\n"));
  const Json json = run_json();
  EXPECT_EQ(json["equal"], false);
  const Json scale = json["tensors"][1];
  EXPECT_EQ(scale["path"], "weights/bn1/scale");
  EXPECT_EQ(scale["max_rel"], 0.5);
  EXPECT_NEAR(scale["cosine"].get<double>(), 1.0, 1e-12);
  EXPECT_EQ(scale["differing"], 5);
  EXPECT_EQ(json["tensors"][0]["equal"], true);
}

TEST_F(InspectDiff, SumsOverImagesAreComparedAsMeans) {
  const auto loss = [](double sum, std::int64_t images, std::int64_t correct) {
    return std::map<std::string, StatisticValue>{{"loss", sum}, {"images", images}, {"correct", correct}};
  };
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.evaluation["loss"] = loss(5, 20, 14);
  checkpoint.statistics["loss"] = loss(5, 20, 14);
  save(checkpoint, path("a.h5"));
  const std::string text = diff([&](Checkpoint& c) {
    c.evaluation["loss"] = loss(12, 40, 15);
    c.statistics["loss"] = loss(5.00000001, 20, 14);
    c.evaluation["layer1.0.gate"]["energy"] = 0.25;
  });
  EXPECT_EQ(text,
            "training epoch, layer loss: mean loss: 0.25 against 0.2500000005\n"
            "last evaluation, layer layer1.0.gate: energy: 0.5 against 0.25\n"
            "last evaluation, layer loss: mean loss: 0.25 against 0.3\n"
            "last evaluation, layer loss: correct: 14 against 15\n"
            "last evaluation, layer loss: images: 20 against 40\n"
            "different: 0 of 8 common tensors, 0 in one file only, 5 other differences\n");
}

TEST_F(InspectDiff, AFilterComparesTensorsOnly) {
  options_.filter = "weights/*";
  EXPECT_EQ(diff([](Checkpoint& c) {
              c.state.clear();
              c.tensors[6].values[0] = 9;
              c.config = "x";
            }),
            "equal: 6 tensors\n");
  EXPECT_EQ(code_, 0);
  options_.filter = "";
  EXPECT_THAT(run(), HasSubstr("the configurations differ\n"));
  EXPECT_EQ(code_, 1);
}

TEST_F(InspectDiff, NanIsEqualToNanAndDifferentFromNumbers) {
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.tensors[0].values[3] = NAN;
  save(checkpoint, path("a.h5"));
  const auto same = [](Checkpoint& c) { c.tensors[0].values[3] = NAN; };
  EXPECT_EQ(diff(same), "equal: 8 tensors\n");
  EXPECT_THAT(diff([](Checkpoint&) {}),
              HasSubstr("weights/\n  conv1/weight  5x3x3x2      inf      inf       1          1\n"));
  EXPECT_EQ(code_, 1);
}

TEST_F(InspectDiff, OneOfThemWithoutASeal) {
  save(sample_checkpoint(), path("b.h5"));
  remove_seal("b.h5");
  options_.diff = path("b.h5");
  EXPECT_EQ(run(), "equal: 8 tensors\n");
  EXPECT_EQ(code_, 0);
  options_.diff = path("absent.h5");
  EXPECT_EQ(error_text([this] { run(); }, ExitCode::kCheckpoint),
            path("absent.h5: cannot open: No such file or directory"));
}

}  // namespace
}  // namespace sluice
