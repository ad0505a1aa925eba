// Checkpoints: the round trip is bit-exact, equal contents give equal bytes, bad documents and bad files are refused by
// name.
#include "core/checkpoint/checkpoint.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <filesystem>
#include <functional>
#include <limits>

#include "core/checkpoint/hdf5.hpp"
#include "core/checkpoint/seal.hpp"
#include "tests/core/checkpoint/sample.hpp"

namespace sluice {
namespace {

using ::testing::HasSubstr;

class CheckpointFile : public InDirectory {};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

void expect_same(const Checkpoint& a, const Checkpoint& b) {
  EXPECT_EQ(to_string(a.kind), to_string(b.kind));
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    EXPECT_EQ(a.tensors[i].path, b.tensors[i].path);
    EXPECT_EQ(a.tensors[i].shape, b.tensors[i].shape) << a.tensors[i].path;
    EXPECT_EQ(a.tensors[i].alias_of, b.tensors[i].alias_of) << a.tensors[i].path;
    EXPECT_TRUE(same_bits(a.tensors[i].values, b.tensors[i].values)) << a.tensors[i].path;
  }
  EXPECT_EQ(a.state, b.state);
  EXPECT_EQ(a.history.columns, b.history.columns);
  ASSERT_EQ(a.history.rows.size(), b.history.rows.size());
  for (std::size_t i = 0; i < a.history.rows.size(); ++i)
    EXPECT_TRUE(same_bits(a.history.rows[i], b.history.rows[i])) << i;
  EXPECT_EQ(a.config, b.config);
  EXPECT_EQ(a.mean, b.mean);
  EXPECT_EQ(a.std, b.std);
  EXPECT_EQ(a.class_names, b.class_names);
  EXPECT_EQ(a.layer_names, b.layer_names);
  EXPECT_EQ(a.statistics, b.statistics);
  EXPECT_EQ(a.evaluation, b.evaluation);
  EXPECT_EQ(a.costs, b.costs);
  EXPECT_EQ(a.kernels, b.kernels);
  EXPECT_EQ(a.ranges, b.ranges);
  EXPECT_EQ(a.data.training, b.data.training);
  EXPECT_EQ(a.data.held_out, b.data.held_out);
  EXPECT_EQ(a.data.test, b.data.test);
  EXPECT_EQ(a.run, b.run);
}

TEST_F(CheckpointFile, RangesAreFiniteAndNotNegative) {
  for (double range : {-1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    Checkpoint checkpoint = sample_checkpoint();
    checkpoint.ranges["fc"] = range;
    EXPECT_THROW(save(checkpoint, path("range.h5")), Error);
    EXPECT_FALSE(std::filesystem::exists(path("range.h5")));
  }
}

TEST_F(CheckpointFile, RoundTripIsBitExact) {
  Checkpoint checkpoint = sample_checkpoint();
  // Values that a conversion would not survive: a NaN with a payload, infinities, a denormal, minus zero.
  const std::uint32_t special[] = {0x7fc12345u, 0x7f800000u, 0xff800000u, 0x00000001u, 0x80000000u};
  std::memcpy(checkpoint.tensors[1].values.data(), special, sizeof(special));
  save(checkpoint, path("a.h5"));
  expect_same(load(path("a.h5")), checkpoint);
}

TEST_F(CheckpointFile, EmptyAndLargeDocumentsComeBack) {
  save(Checkpoint{}, path("empty.h5"));
  expect_same(load(path("empty.h5")), Checkpoint{});
  Checkpoint large;
  large.kind = Checkpoint::Kind::kWeightsOnly;
  large.tensors = {random_tensor("weights/a/weight", {1537, 1031}, 1), random_tensor("weights/a/empty", {0, 4}, 2)};
  large.config.assign(300000, 'x');
  large.state["text"] = std::string(100000, 'y');
  large.history.columns = {"only"};
  for (int i = 0; i < 200; ++i) {
    large.layer_names.push_back("layer" + std::to_string(i));
    for (int j = 0; j < 12; ++j) large.statistics[large.layer_names.back()]["s" + std::to_string(j)] = i * 0.5 + j;
  }
  save(large, path("large.h5"));
  expect_same(load(path("large.h5")), large);
  const Hdf5DataSet weight = Hdf5File::open(path("large.h5"), ExitCode::kCheckpoint).data_set("weights/a/weight");
  EXPECT_EQ(weight.info().chunk, (std::vector<std::int64_t>{769, 1031}));
  EXPECT_LT(static_cast<double>(weight.info().stored_bytes), 1.01 * 1537 * 1031 * sizeof(float));
}

TEST_F(CheckpointFile, EqualDocumentsGiveEqualBytesAndRunChangesNothingElse) {
  Checkpoint checkpoint = sample_checkpoint();
  save(checkpoint, path("a.h5"));
  // Nothing in the file may depend on the time: HDF5 stores whole seconds.
  for (const std::time_t start = std::time(nullptr); std::time(nullptr) == start;) ::usleep(10000);
  save(checkpoint, path("b.h5"));
  EXPECT_EQ(bytes_in(path("a.h5")), bytes_in(path("b.h5")));
  const std::string digest = content_digest(checkpoint);
  checkpoint.run = {{"host", "another node"}, {"finished", "never"}, {"more", "text"}};
  EXPECT_EQ(content_digest(checkpoint), digest);
  save(checkpoint, path("c.h5"));
  EXPECT_NE(bytes_in(path("c.h5")), bytes_in(path("a.h5")));
  EXPECT_EQ(content_digest(load(path("c.h5"))), digest);
}

TEST_F(CheckpointFile, DigestDependsOnEveryPart) {
  const std::string digest = content_digest(sample_checkpoint());
  const std::function<void(Checkpoint&)> changes[] = {
      [](Checkpoint& c) { c.kind = Checkpoint::Kind::kDeployable; },
      [](Checkpoint& c) { c.tensors[0].values[7] += 1e-7f; },
      [](Checkpoint& c) {
        c.tensors[0].shape = {5, 3, 2, 3};
      },
      [](Checkpoint& c) { c.tensors[4].path += "2"; },
      [](Checkpoint& c) { c.tensors[4].alias_of.clear(); },
      [](Checkpoint& c) { c.state["epoch"] = 3.0; },
      [](Checkpoint& c) { c.history.rows[1][1] = 0; },
      [](Checkpoint& c) { c.history.columns[1] = "x"; },
      [](Checkpoint& c) { c.config += "\n"; },
      [](Checkpoint& c) { std::swap(c.mean, c.std); },
      [](Checkpoint& c) { c.class_names[1] = "x"; },
      [](Checkpoint& c) { c.layer_names.pop_back(); },
      [](Checkpoint& c) { c.statistics.begin()->second["density"] = 0.0; },
      [](Checkpoint& c) { c.evaluation.begin()->second["open"] = std::int64_t{4}; },
      [](Checkpoint& c) { std::swap(c.evaluation, c.statistics); },
      [](Checkpoint& c) { ++c.costs["conv1"][0].macs; },
      [](Checkpoint& c) { c.costs["layer1.0.gate"][1].refines = false; },
      [](Checkpoint& c) { c.kernels["layer1.0.gate"] = "lanes"; },
      [](Checkpoint& c) { c.ranges["layer1.0.gate"] = 2.5; },
      [](Checkpoint& c) { ++c.data.training->images; },
      [](Checkpoint& c) { ++c.data.training->shape.width; },
      [](Checkpoint& c) { c.data.training->images_digest[0] = 'f'; },
      [](Checkpoint& c) { c.data.training->labels_digest[0] = 'f'; },
      [](Checkpoint& c) { c.data.held_out.drawn_from = 60000; },
      [](Checkpoint& c) { c.data.test.reset(); },
      [](Checkpoint& c) { std::swap(c.costs["layer1.0.gate"][2].open, c.costs["layer1.0.gate"][2].total); }};
  int index = 0;
  for (const auto& change : changes) {
    Checkpoint changed = sample_checkpoint();
    change(changed);
    EXPECT_NE(content_digest(changed), digest) << "change " << index;
    ++index;
  }
}

TEST_F(CheckpointFile, TensorsAreChunkedWithChecksumsAndSharedOnesAreHardLinks) {
  save(sample_checkpoint(), path("a.h5"));
  const Hdf5File file = Hdf5File::open(path("a.h5"), ExitCode::kCheckpoint);
  for (const char* name : {"weights/conv1/weight", "weights/bn1/scale", "optimizer/momentum/conv1/weight", "config"})
    EXPECT_TRUE(file.data_set(name).info().checksum) << name;
  EXPECT_EQ(file.data_set("weights/linear/weight").identity(),
            file.data_set("weights/layer1.0.conv1/weight").identity());
}

TEST_F(CheckpointFile, RefusesDocumentsThatTheFormatCannotHold) {
  const auto text = [this](const std::function<void(Checkpoint&)>& change) {
    Checkpoint changed = sample_checkpoint();
    change(changed);
    return error_text([&] { save(changed, path("a.h5")); }, ExitCode::kInternal);
  };
  const std::string begin = "this checkpoint cannot be stored: ";
  EXPECT_EQ(text([](Checkpoint& c) { c.tensors[0].values.pop_back(); }),
            begin + "tensor weights/conv1/weight of shape 5x3x3x2 has 89 values");
  EXPECT_EQ(text([](Checkpoint& c) { c.tensors[1].path = "weights/conv1/weight"; }),
            begin + "tensor weights/conv1/weight is there twice");
  EXPECT_EQ(text([](Checkpoint& c) { c.tensors[0].path = "gates/conv1/weight"; }),
            begin +
                "tensor path 'gates/conv1/weight' is none of weights/<layer>/<name>, buffers/<layer>/<name>, "
                "optimizer/<slot>/..., ema/...");
  EXPECT_EQ(text([](Checkpoint& c) { c.tensors[0].path = "weights//weight"; }),
            begin + "a part of the tensor path 'weights//weight', '' is no valid name");
  EXPECT_EQ(text([](Checkpoint& c) { std::swap(c.tensors[4], c.tensors[2]); }),
            begin + "tensor weights/linear/weight comes before weights/layer1.0.conv1/weight, whose values it shares");
  EXPECT_EQ(
      text([](Checkpoint& c) { c.tensors[4].shape = {7}; }),
      begin +
          "tensor weights/linear/weight (7) differs from weights/layer1.0.conv1/weight (7x5x1x3), whose values it "
          "shares");
  EXPECT_EQ(text([](Checkpoint& c) { c.history.rows[1].pop_back(); }),
            begin + "a history row has 2 values for 3 columns");
  EXPECT_EQ(text([](Checkpoint& c) { c.history.columns[1] = "epoch"; }),
            begin + "two history columns have the same name");
  EXPECT_EQ(text([](Checkpoint& c) { c.config += '\0'; }), begin + "the configuration contains a zero byte");
  EXPECT_EQ(text([](Checkpoint& c) { c.state["a/b"] = 1.0; }), begin + "state value 'a/b' is no valid name");
  EXPECT_TRUE(files().empty());
}

// Files with an intact seal and contents that a reader of this version must refuse.
class SealedFile : public InDirectory {
 protected:
  std::string load_error(const std::function<void(Hdf5File&)>& fill) {
    Hdf5File file = Hdf5File::create_image("x", ExitCode::kInternal);
    fill(file);
    std::vector<char> bytes = file.image();
    append_seal(bytes);
    write_file(path("a.h5"), std::string(bytes.begin(), bytes.end()));
    std::string text = error_text([this] { load(path("a.h5")); }, ExitCode::kCheckpoint);
    EXPECT_THAT(text, ::testing::StartsWith(path("a.h5: ")));
    return text.substr(std::min(text.size(), path("a.h5: ").size()));
  }
};

TEST_F(SealedFile, NewerMajorVersionAndMissingMembers) {
  EXPECT_EQ(load_error([](Hdf5File&) {}), "/format_version: is missing, expected a data set");
  EXPECT_EQ(load_error([](Hdf5File& f) { f.write_text("format_version", "2.0"); }),
            "/format_version: the file has format 2.0, this Sluice reads formats up to 1.x; use a newer Sluice");
  EXPECT_EQ(load_error([](Hdf5File& f) { f.write_text("format_version", "new"); }),
            "/format_version: holds 'new', expected for example 1.0");
  const double version = 1.0;
  EXPECT_EQ(load_error([&](Hdf5File& f) { f.write("format_version", Shape{}, &version); }),
            "/format_version: holds float64, expected text");
  const auto begin = [](Hdf5File& f) { f.write_text("format_version", "1.7"); };
  EXPECT_EQ(load_error([&](Hdf5File& f) { begin(f), f.write_text("kind", "half"); }),
            "/kind: holds 'half', expected full, weights_only or deployable");
  const auto kind = [&](Hdf5File& f) { begin(f), f.write_text("kind", "full"); };
  EXPECT_EQ(
      load_error([&](Hdf5File& f) { kind(f), f.write_text("tensor_names", std::vector<std::string>{"weights/a/b"}); }),
      "/weights/a/b: is missing, expected a data set");
  EXPECT_EQ(load_error([&](Hdf5File& f) {
              kind(f), f.create_group("weights").create_group("a").write("b", Shape{}, &version);
              f.write_text("tensor_names", std::vector<std::string>{"weights/a/b"});
            }),
            "/weights/a/b: holds float64, expected float32");
}

/// A document that says nothing, with a digest that is not its own.
void fill(Hdf5File& file, const std::string& version) {
  const std::vector<std::string> none;
  const double nothing = 0;
  file.write_text("format_version", version);
  file.write_text("kind", "full");
  file.write_text("content_digest", std::string(32, '0'));
  for (const char* list : {"tensor_names", "class_names", "layer_names"}) file.write_text(list, none);
  for (const char* group : {"state", "run", "statistics"}) file.create_group(group);
  file.write_text("config", std::vector<std::string>{""});
  Hdf5Group normalisation = file.create_group("normalisation");
  for (const char* list : {"mean", "std"}) normalisation.write(list, Shape{0}, &nothing);
}

TEST_F(SealedFile, ContentsThatDifferFromTheirDigest) {
  // Each version's digest covers the members it has; 1.0 has neither costs nor evaluations.
  for (int minor = 0; minor <= kCheckpointMinor; ++minor) {
    EXPECT_EQ(load_error([&](Hdf5File& file) { fill(file, concat("1.", minor)); }),
              "/content_digest: the contents have digest " + content_digest(Checkpoint{}, minor) + ", the file says " +
                  std::string(32, '0'));
  }
  EXPECT_NE(content_digest(Checkpoint{}, 0), content_digest(Checkpoint{}, 1));
  EXPECT_NE(content_digest(Checkpoint{}, 1), content_digest(Checkpoint{}, 2));
  // A later minor version may have contents that this reader skips.
  Hdf5File later = Hdf5File::create_image("x", ExitCode::kInternal);
  fill(later, "1.9");
  std::vector<char> bytes = later.image();
  append_seal(bytes);
  write_file(path("later.h5"), std::string(bytes.begin(), bytes.end()));
  expect_same(load(path("later.h5")), Checkpoint{});
}

TEST_F(SealedFile, DataThatCannotBe) {
  const auto of_size = [](Hdf5File& file, std::int64_t images, std::int64_t width) {
    fill(file, "1.4");
    Hdf5Group group = file.create_group("data").create_group("training");
    group.write_attribute("images", images);
    group.write_attribute("channels", std::int64_t{3});
    group.write_attribute("height", std::int64_t{3});
    group.write_attribute("width", width);
  };
  EXPECT_EQ(load_error([&](Hdf5File& file) { of_size(file, 0, 3); }),
            "/data/training: attribute images is 0, expected at least 1");
  EXPECT_EQ(load_error([&](Hdf5File& file) { of_size(file, 5, -3); }),
            "/data/training: attribute width is -3, expected at least 1");
}

TEST_F(SealedFile, CostsThatCannotBe) {
  const auto term = [](Hdf5File& file, std::int64_t macs, std::int64_t bits) {
    fill(file, "1.1");
    Hdf5Group group = file.create_group("costs").create_group("conv").create_group("0");
    group.write_attribute("macs", macs);
    group.write_attribute("weight_bits", bits);
  };
  EXPECT_EQ(load_error([&](Hdf5File& file) { term(file, -1, 32); }),
            "/costs/conv/0: attribute macs is -1, expected 0 to 281474976710656");
  EXPECT_EQ(load_error([&](Hdf5File& file) { term(file, 1, 65); }),
            "/costs/conv/0: attribute weight_bits is 65, expected 0 to 64");
  EXPECT_EQ(load_error([&](Hdf5File& file) { term(file, 1, 8); }),
            "/costs/conv/0: attribute 'activation_bits' is missing");
  EXPECT_EQ(load_error([&](Hdf5File& file) {
              fill(file, "1.1"), file.create_group("costs").create_group("conv").create_group("1");
            }),
            "/costs/conv/0: is missing, expected a group");
}

TEST_F(SealedFile, ADataSetWhoseChecksumFails) {
  save(sample_checkpoint(), path("a.h5"));
  std::string bytes = bytes_in(path("a.h5"));
  bytes.resize(bytes.size() - static_cast<std::size_t>(kSealBytes));
  bytes[bytes.find("input = 3x32x32")] = 'I';
  std::vector<char> sealed(bytes.begin(), bytes.end());
  append_seal(sealed);
  write_file(path("b.h5"), std::string(sealed.begin(), sealed.end()));
  EXPECT_EQ(error_text([this] { load(path("b.h5")); }, ExitCode::kCheckpoint),
            path("b.h5: /config: cannot read it: data error detected by Fletcher32 checksum"));
}

}  // namespace
}  // namespace sluice
