// Weights from PyTorch's names and back: a network of an independent implementation, every type and shape, every error.
#include "core/train/import.hpp"

#include <gmock/gmock.h>
#include <hdf5.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/checkpoint/hdf5.hpp"
#include "core/train/training_checkpoint.hpp"
#include "layers/layers.hpp"
#include "tests/core/checkpoint/sample.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const char kResNet[] = SLUICE_SOURCE_DIR "/configs/networks/resnet20.ini";
const char kGolden[] = SLUICE_SOURCE_DIR "/tests/golden/networks.h5";

/// conv (shared by twice), norm, fc: 5 parameters, 2 buffers.
const char kSmall[] = R"([network]
input = 3x8x8
[layer.conv]
type = conv
channels = 3
kernel = 3
pad = 1
[layer.twice]
type = conv
channels = 3
kernel = 3
pad = 1
share = conv
[layer.norm]
type = batchnorm
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 4
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
[data]
classes = 4
)";

class ImportTest : public InDirectory {
 protected:
  ImportTest() { register_layers(registry_); }

  Experiment small(const std::vector<std::string>& overrides = {}) {
    return Experiment(Config::parse(kSmall, "small.ini", overrides), registry_);
  }

  /// All tensors of kSmall with values that tell where they came from.
  void write_small(const std::string& prefix = "") {
    Hdf5File file = Hdf5File::create_image(path("w.h5"), ExitCode::kInternal);
    for (const auto& [name, shape] : small_shapes()) put(file, prefix + name, shape, values_of(name, shape));
    finish(file);
  }
  /// Writes what export_weights makes; returns the number of tensors.
  std::int64_t exported(const Checkpoint& checkpoint, const std::string& name) {
    const ExportedWeights weights = export_weights(checkpoint, registry_.torch_names(), path(name));
    write_file(path(name), {weights.bytes.data(), weights.bytes.size()});
    EXPECT_TRUE(is_exported(path(name)));
    return weights.tensors;
  }
  static std::vector<std::pair<std::string, Shape>> small_shapes() {
    return {{"conv.weight", {3, 3, 3, 3}}, {"norm.weight", {3}}, {"norm.bias", {3}},
            {"fc.weight", {4, 3}},         {"fc.bias", {4}},     {"norm.running_mean", {3}},
            {"norm.running_var", {3}}};
  }
  static std::vector<float> values_of(const std::string& name, const Shape& shape) {
    return random_values(shape.count(), name.size() * 31 + static_cast<std::uint64_t>(name.front() + name.back()));
  }
  static void put(Hdf5Group& group, const std::string& name, const Shape& shape, const std::vector<float>& values) {
    group.write(name, shape, values.data());
  }
  void finish(Hdf5File& file) {
    const std::vector<char> bytes = file.image();
    write_file(path("w.h5"), {bytes.data(), bytes.size()});
  }
  /// Opens w.h5 with h5py's means: the C library, any type.
  void replace(const std::string& name, const Shape& shape, hid_t type, hid_t memory, const void* values) {
    const hid_t file = H5Fopen(path("w.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    if (H5Lexists(file, name.c_str(), H5P_DEFAULT) > 0) H5Ldelete(file, name.c_str(), H5P_DEFAULT);
    const std::vector<hsize_t> dims(shape.dims().begin(), shape.dims().end());
    const hid_t space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
    const hid_t set = H5Dcreate2(file, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    EXPECT_GE(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Fclose(file);
  }
  void replace(const std::string& name, const Shape& shape, const std::vector<float>& values) {
    replace(name, shape, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, values.data());
  }
  void remove(const std::string& name) {
    const hid_t file = H5Fopen(path("w.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    EXPECT_GE(H5Ldelete(file, name.c_str(), H5P_DEFAULT), 0);
    H5Fclose(file);
  }

  std::string error_of_second_name() {
    try {
      registry_.add_torch_name("running_var", "x");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  ImportOptions options() const {
    ImportOptions options;
    options.file = path("w.h5");
    return options;
  }
  ImportReport import(Experiment& experiment) { return import_weights(options(), experiment.network()); }
  ImportReport import(const ImportOptions& options) {
    Experiment experiment = small();
    return import_weights(options, experiment.network());
  }
  std::string failure() {
    const ImportReport report = import(options());
    EXPECT_FALSE(report.complete(false));
    return import_failure(options(), report);
  }
  std::string error(const ImportOptions& options, ExitCode code = ExitCode::kCheckpoint) {
    try {
      import(options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    return "no error";
  }
  static std::vector<float> values(const Experiment& experiment, const std::string& tensor) {
    return tensor_of(untrained_checkpoint(experiment, {}), tensor);
  }
  static std::vector<float> tensor_of(const Checkpoint& checkpoint, const std::string& tensor) {
    const CheckpointTensor* found = checkpoint.find(tensor);
    EXPECT_NE(found, nullptr) << tensor;
    return found == nullptr ? std::vector<float>() : checkpoint.values_of(*found).values;
  }

  Registry registry_;
};

TEST_F(ImportTest, LogitsOfAnIndependentImplementation) {
  Experiment experiment(Config::load({kResNet}, {"--define.blocks=1"}), registry_);
  ImportOptions from;
  from.file = kGolden;
  from.group = "/dense/after";
  const ImportReport report = import_weights(from, experiment.network());
  EXPECT_TRUE(report.complete(false));
  EXPECT_EQ(report.tensors, 37);
  EXPECT_EQ(report.matched.size(), 37U);
  EXPECT_THAT(report.extra, IsEmpty());

  // Through the file, so that what is written is what is tested.
  save(untrained_checkpoint(experiment, {}), path("imported.h5"));
  Experiment loaded(Config::parse(load(path("imported.h5")).config, "imported.h5"), registry_);
  restore_weights(load(path("imported.h5")), loaded.network());
  const Hdf5File file = Hdf5File::open(kGolden, ExitCode::kData);
  const std::vector<float> images = file.data_set("dense/images").read<float>();
  const std::vector<float> expected = file.data_set("dense/eval_logits").read<float>();
  std::vector<float> nhwc(images.size());
  for (std::size_t i = 0; i < images.size(); ++i) {
    const std::size_t n = i / 3072, c = i / 1024 % 3, pixel = i % 1024;
    nhwc[n * 3072 + pixel * 3 + c] = images[i];
  }
  Executor executor(loaded.network(), loaded.executor_options(Mode::kInference, 2));
  executor.refresh();
  executor.set_batch(nhwc.data(), nullptr);
  executor.forward();
  const float* logits = executor.logits().as<const float>();
  float largest = 0;
  for (float value : expected) largest = std::max(largest, std::abs(value));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = std::abs(logits[i] - expected[i]);
    EXPECT_TRUE(difference <= 1e-4 * largest) << i << ": " << logits[i] << ", expected " << expected[i];
  }
}

TEST_F(ImportTest, MatchesByNameAndCopiesValues) {
  write_small();
  Experiment experiment = small();
  const ImportReport report = import(experiment);
  EXPECT_TRUE(report.complete(false));
  EXPECT_EQ(report.tensors, 7);
  std::vector<std::string> tensors;
  for (const auto& match : report.matched) tensors.push_back(match.tensor);
  EXPECT_THAT(tensors,
              ElementsAre("weights/conv/weight", "weights/norm/weight", "weights/norm/bias", "weights/fc/weight",
                          "weights/fc/bias", "buffers/norm/running_mean", "buffers/norm/running_var"));
  for (const auto& match : report.matched) {
    EXPECT_EQ(values(experiment, match.tensor), values_of(match.name, match.shape)) << match.name;
  }
  EXPECT_EQ(values(experiment, "weights/twice/weight"), values(experiment, "weights/conv/weight"));
}

TEST_F(ImportTest, SharedTensorsHaveOneNameOrSeveral) {
  const std::vector<float> weight = values_of("conv.weight", {3, 3, 3, 3});
  write_small();
  replace("twice.weight", {3, 3, 3, 3}, weight);
  Experiment both = small(), second = small();
  EXPECT_TRUE(import(both).complete(false));
  remove("conv.weight");
  const ImportReport report = import(second);
  EXPECT_TRUE(report.complete(false));
  EXPECT_EQ(report.matched.front().name, "twice.weight");
  EXPECT_EQ(report.matched.front().tensor, "weights/conv/weight");
  EXPECT_EQ(values(second, "weights/conv/weight"), weight);

  replace("conv.weight", {3, 3, 3, 3}, std::vector<float>(81, 1.0F));
  EXPECT_EQ(
      failure(),
      path("w.h5: of the network's 7 tensors, 1 cannot be used (first: twice.weight: differs from conv.weight, but "
           "the network has one tensor for both (weights/conv/weight)); nothing was written; mend or remove "
           "these data sets"));
}

TEST_F(ImportTest, WrappersCountersGroupsAndNestedNames) {
  Hdf5File file = Hdf5File::create_image(path("w.h5"), ExitCode::kInternal);
  {
    Hdf5Group model = file.create_group("model"), state = model.create_group("state"),
              norm = state.create_group("norm");
    for (const auto& [name, shape] : small_shapes()) {
      if (name.compare(0, 5, "norm.") == 0)
        put(norm, name.substr(5), shape, values_of(name, shape));
      else
        put(state,
            (name == "fc.bias"     ? ""
             : name == "fc.weight" ? "_orig_mod.module."
                                   : "module.") +
                name,
            shape, values_of(name, shape));
    }
    const std::int64_t count = 7;
    norm.write("num_batches_tracked", Shape{}, &count);
  }
  finish(file);
  ImportOptions from = options();
  from.group = "/model/state/";
  const ImportReport report = import(from);
  EXPECT_TRUE(report.complete(false));
  EXPECT_THAT(report.skipped, ElementsAre("norm/num_batches_tracked"));
  EXPECT_THAT(report.stripped, ElementsAre("_orig_mod.module.fc.weight", "module.conv.weight"));
  EXPECT_THAT(report.extra, IsEmpty());
}

TEST_F(ImportTest, OtherNamesInPyTorch) {
  registry_.add_torch_name("running_mean", "inner.mean");
  registry_.add_torch_name("running_var", "");
  write_small();
  remove("norm.running_mean");
  remove("norm.running_var");
  replace("norm.inner.mean", Shape{3}, {1, 2, 3});
  Experiment experiment = small();
  experiment.network().initialise(1);
  const ImportReport report = import(experiment);
  EXPECT_TRUE(report.complete(false)) << "PyTorch has no running_var";
  EXPECT_EQ(report.tensors, 6);
  EXPECT_EQ(report.matched.size(), 6U);
  EXPECT_THAT(report.kept, ElementsAre("norm.running_var"));
  const Checkpoint checkpoint = untrained_checkpoint(experiment, Normalization{});
  EXPECT_THAT(checkpoint.find("buffers/norm/running_mean")->values, ElementsAre(1, 2, 3));
  EXPECT_THAT(checkpoint.find("buffers/norm/running_var")->values, ElementsAre(1, 1, 1));

  // 6 tensors, and the second name of the shared one.
  EXPECT_EQ(exported(checkpoint, "back.h5"), 7);
  const Hdf5File back = Hdf5File::open(path("back.h5"), ExitCode::kData);
  EXPECT_THAT(back.data_set("norm.inner.mean").read<float>(), ElementsAre(1, 2, 3));
  EXPECT_THAT(back.members(), ::testing::Not(::testing::Contains(HasSubstr("running"))));

  // A file with our own names is as good.
  write_small();
  EXPECT_FALSE(is_exported(path("w.h5")));
  EXPECT_EQ(import(experiment).tensors, 7);
  EXPECT_EQ(error_of_second_name(),
            "the name of 'running_var' in PyTorch is registered twice; two plug-ins may use the same name");
}

TEST_F(ImportTest, RenamesWholePartsOfNames) {
  write_small();
  remove("fc.weight");
  remove("norm.bias");
  replace("head.1.weight", {4, 3}, values_of("fc.weight", {4, 3}));
  replace("trunk.norm.bias", {3}, values_of("norm.bias", {3}));
  replace("trunky.norm.bias", {3}, std::vector<float>(3, 0.0F));
  ImportOptions from = options();
  from.renames = {{"head.1", "fc"}, {"trunk", ""}};
  const ImportReport report = import(from);
  EXPECT_TRUE(report.complete(false));
  ASSERT_EQ(report.extra.size(), 1U);
  EXPECT_EQ(report.extra[0].name, "trunky.norm.bias");

  from.renames.push_back({"run", "walk"});
  EXPECT_EQ(error(from, ExitCode::kUsage), "command line: --rename: no name in " + path("w.h5") + ": / contains 'run'");
}

TEST_F(ImportTest, AnyFloatingPointTypeAndDimensionsOfSizeOne) {
  write_small();
  const std::vector<float> bias = {0.5F, -1.75F, 96.0F, 0.0F};  // exact in all of the types
  const hid_t half = H5Tcopy(H5T_IEEE_F32LE), brain = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(half, 15, 10, 5, 0, 10);
  H5Tset_ebias(half, 15);
  H5Tset_size(half, 2);
  H5Tset_fields(brain, 15, 7, 8, 0, 7);
  H5Tset_size(brain, 2);
  H5Tset_ebias(brain, 127);
  for (const hid_t type : {H5T_IEEE_F32BE, H5T_IEEE_F64LE, half, brain}) {
    replace("fc.bias", {1, 4, 1, 1}, type, H5T_NATIVE_FLOAT, bias.data());
    Experiment experiment = small();
    const ImportReport report = import(experiment);
    EXPECT_TRUE(report.complete(false));
    EXPECT_EQ(values(experiment, "weights/fc/bias"), bias);
    EXPECT_EQ(report.matched[4].file_shape, (Shape{1, 4, 1, 1}));
    EXPECT_EQ(report.matched[4].type, concat("float", 8 * H5Tget_size(type)));
  }
  H5Tclose(half);
  H5Tclose(brain);
}

TEST_F(ImportTest, WhatDoesNotFitIsReportedAndNothingIsCopied) {
  write_small();
  remove("norm.running_var");
  replace("conv.weight", {3, 3, 5, 5}, std::vector<float>(225));
  replace("classes", {10, 2}, std::vector<float>(20));
  Experiment experiment = small();
  const std::vector<float> before = values(experiment, "weights/fc/bias");
  const ImportReport report = import(experiment);
  EXPECT_FALSE(report.complete(false));
  EXPECT_TRUE(report.complete(true));
  EXPECT_EQ(report.matched.size(), 5U);
  EXPECT_EQ(values(experiment, "weights/fc/bias"), before);
  EXPECT_EQ(failure(),
            path("w.h5: of the network's 7 tensors, 1 is missing and 1 has another shape (first: conv.weight: "
                 "the file has 3x3x5x5, the network 3x3x3x3); nothing was written; map names with --rename, "
                 "or take the rest with --partial"));
  std::ostringstream text;
  print_import(text, options(), report);
  EXPECT_THAT(text.str(), HasSubstr("w.h5: 5 of 7 tensors of the network matched\n"
                                    "  in the file        shape  type     tensor\n"
                                    "  norm.weight        3      float32  weights/norm/weight\n"));
  EXPECT_THAT(text.str(), HasSubstr("missing in the file:\n  norm.running_var (3)\n"
                                    "of another shape:\n  conv.weight: the file has 3x3x5x5, the network 3x3x3x3\n"
                                    "in the file, but not in the network (not used):\n  classes (10x2 float32)\n"));

  ImportOptions partial = options();
  partial.partial = true;
  Experiment other = small();
  other.network().initialise(3);
  const std::vector<float> kept = values(other, "weights/conv/weight");
  import_weights(partial, other.network());
  EXPECT_EQ(values(other, "weights/conv/weight"), kept);
  EXPECT_EQ(values(other, "weights/fc/bias"), values_of("fc.bias", {4}));
}

TEST_F(ImportTest, ReportAsJson) {
  write_small("module.");
  remove("module.fc.bias");
  replace("module.extra", {2, 1}, {1, 2});
  std::ostringstream text;
  print_json_import(text, options(), import(options()), "");
  const nlohmann::json json = nlohmann::json::parse(text.str());
  EXPECT_EQ(json["complete"], false);
  EXPECT_EQ(json["output"], nullptr);
  EXPECT_EQ(json["tensors"], 7);
  EXPECT_EQ(json["matched"].size(), 6U);
  EXPECT_EQ(json["matched"][0]["tensor"], "weights/conv/weight");
  EXPECT_EQ(json["matched"][0]["shape"], nlohmann::json({3, 3, 3, 3}));
  EXPECT_EQ(json["missing"][0]["name"], "fc.bias");
  EXPECT_EQ(json["extra"][0]["name"], "module.extra");
  EXPECT_EQ(json["extra"][0]["shape"], nlohmann::json({2, 1}));
  EXPECT_EQ(json["stripped"].size(), 7U);
}

TEST_F(ImportTest, UnusableValuesAreRefusedEvenInPart) {
  write_small();
  std::vector<double> huge = {1, 1e300, 2, std::numeric_limits<double>::quiet_NaN()};
  replace("fc.bias", {4}, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, huge.data());
  EXPECT_FALSE(import(options()).complete(true));
  EXPECT_THAT(failure(),
              HasSubstr("1 cannot be used (first: fc.bias: 2 of 4 values are NaN, Inf or beyond float32); nothing"));
  const std::vector<int> integers = {1, 2, 3, 4};
  replace("fc.bias", {4}, H5T_STD_I32LE, H5T_NATIVE_INT, integers.data());
  EXPECT_THAT(failure(), HasSubstr("(first: fc.bias: holds int32, expected floating-point numbers)"));
}

TEST_F(ImportTest, MissingNamesComeWithWhatMayBeMeant) {
  write_small("net.");
  EXPECT_THAT(failure(), HasSubstr("7 are missing (first: conv.weight (3x3x3x3); the file has 'net.conv.weight': "
                                   "--rename net=); nothing was written; compare the names: the report has both"));
  Hdf5File file = Hdf5File::create_image(path("w.h5"), ExitCode::kInternal);
  {
    Hdf5Group group = file.create_group("a").create_group("b");
    put(group, "conv.weight", {3, 3, 3, 3}, std::vector<float>(81));
    put(group, "linear.bias", {4}, std::vector<float>(4));
  }
  finish(file);
  EXPECT_THAT(failure(), HasSubstr("(first: conv.weight (3x3x3x3); the file has it below --group /a/b)"));
  ImportOptions from = options();
  from.group = "a/b";
  EXPECT_EQ(import(from).missing[3].hint, "not used in the file and of this shape: linear.bias");
}

TEST_F(ImportTest, FilesThatCannotBeRead) {
  EXPECT_EQ(error(options()), path("w.h5: cannot open: No such file or directory"));
  std::filesystem::create_directory(path("w.h5"));
  EXPECT_EQ(error(options()), path("w.h5: is a directory, expected an HDF5 file"));
  std::filesystem::remove(path("w.h5"));
  write_file(path("w.h5"), "PK\3\4 what torch.save writes");
  EXPECT_THAT(error(options()), HasSubstr("w.h5: cannot open as an HDF5 file: "));
  write_small();
  ImportOptions from = options();
  from.group = "/model";
  EXPECT_EQ(error(from), path("w.h5: /model: is missing, expected a group"));
  from.group = "/conv.weight";
  EXPECT_EQ(error(from), path("w.h5: /conv.weight: is no group, expected a group"));
  replace("module.conv.weight", {3, 3, 3, 3}, std::vector<float>(81));
  EXPECT_EQ(error(options()),
            path("w.h5: /: 'conv.weight' and 'module.conv.weight' both become conv.weight; remove one, "
                 "or rename it with --rename"));
}

TEST_F(ImportTest, DamagedFilesDoNoHarm) {
  write_small();
  const std::string bytes = bytes_in(path("w.h5"));
  Random random(5, Purpose::kTest);
  Experiment experiment = small();
  for (int i = 0; i < 60; ++i) {
    std::string damaged = bytes;
    for (int k = 0; k < 8; ++k) {
      const auto at = static_cast<std::size_t>(random.uniform() * static_cast<double>(bytes.size() / 3));
      damaged[at] = static_cast<char>(random.uniform() * 256);
    }
    if (i % 3 == 0) damaged.resize(bytes.size() * static_cast<std::size_t>(i) / 60);
    write_file(path("w.h5"), damaged);
    try {
      import(experiment);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kCheckpoint);
      EXPECT_THAT(error.what(), HasSubstr(path("w.h5")));
    }
  }
}

TEST_F(ImportTest, ExportAndImportMakeARoundTrip) {
  Experiment experiment = small(), again = small();
  experiment.network().initialise(11);
  const Checkpoint checkpoint = untrained_checkpoint(experiment, {});
  EXPECT_EQ(exported(checkpoint, "w.h5"), 8);
  {
    const Hdf5File file = Hdf5File::open(path("w.h5"), ExitCode::kData);
    const Hdf5DataSet weight = file.data_set("conv.weight");
    EXPECT_THAT(weight.info().chunk, IsEmpty());
    EXPECT_FALSE(weight.info().checksum);
    EXPECT_EQ(weight.identity(), file.data_set("twice.weight").identity());
    EXPECT_EQ(file.members().size(), 8U);
  }
  EXPECT_TRUE(import(again).complete(false));
  EXPECT_EQ(content_digest(untrained_checkpoint(again, {})), content_digest(checkpoint));
}

TEST_F(ImportTest, ExportLeavesTheStateOfTrainingOut) {
  Checkpoint full = sample_checkpoint();
  EXPECT_EQ(exported(full, "w.h5"), 7);
  EXPECT_THAT(Hdf5File::open(path("w.h5"), ExitCode::kData).members(),
              ElementsAre("bn1.running_mean", "bn1.scale", "conv1.weight", "layer1.0.conv1.weight",
                          "layer1.0.gate.threshold", "linear.scale", "linear.weight"));
}

}  // namespace
}  // namespace sluice
