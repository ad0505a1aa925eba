// A small checkpoint that uses every part of the format, and helpers for the tests of this folder.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/random.hpp"
#include "core/checkpoint/checkpoint.hpp"

namespace sluice {

inline std::vector<float> random_values(std::int64_t count, std::uint64_t seed) {
  Random random(seed, Purpose::kTest);
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(random.normal()));
  return values;
}

inline CheckpointTensor random_tensor(const std::string& path, const Shape& shape, std::uint64_t seed) {
  return {path, shape, random_values(shape.count(), seed), ""};
}

inline Checkpoint sample_checkpoint(std::uint64_t seed = 1, std::int64_t step = 1234) {
  Checkpoint c;
  c.kind = Checkpoint::Kind::kFull;
  c.layer_names = {"conv1", "bn1", "layer1.0.conv1", "layer1.0.gate", "linear"};
  c.tensors = {random_tensor("weights/conv1/weight", {5, 3, 3, 2}, seed),
               random_tensor("weights/bn1/scale", {5}, seed + 1),
               random_tensor("weights/layer1.0.conv1/weight", {7, 5, 1, 3}, seed + 2),
               random_tensor("weights/layer1.0.gate/threshold", {7}, seed + 3),
               {"weights/linear/weight", {7, 5, 1, 3}, {}, "weights/layer1.0.conv1/weight"},
               random_tensor("weights/linear/scale", {}, seed + 4),
               random_tensor("buffers/bn1/running_mean", {5}, seed + 5),
               random_tensor("optimizer/momentum/conv1/weight", {5, 3, 3, 2}, seed + 6)};
  c.state = {{"epoch", std::int64_t{3}}, {"step", step}, {"best", 0.1 + 0.2}, {"isa", std::string("avx512")}};
  c.history.columns = {"epoch", "train_loss", "density.layer1.0.gate"};
  c.history.rows = {{1, 2.5, 0.5}, {2, 1.0 / 3.0, 0.25}, {3, std::nan(""), 0.125}};
  c.config = "[network]\ninput = 3x32x32  # bl\xc3\xa4tter\n[data]\ndir = \n";
  c.mean = {0.4914, 0.4822, 0.4465};
  c.std = {0.247, 0.2435, 0.2616};
  c.class_names = {"cat", "", "d\xc3\xb6g"};
  c.statistics["layer1.0.gate"] = {{"density", 0.375}, {"images", std::int64_t{10000}}};
  c.evaluation["layer1.0.gate"] = {{"open", std::int64_t{3}}, {"total", std::int64_t{8}}, {"energy", 0.5}};
  c.costs["conv1"] = {{27000, 32, 32, false, "", ""}};
  c.costs["layer1.0.gate"] = {
      {1000, 8, 2, false, "", ""}, {1000, 8, 1, true, "open", "total"}, {3000, 8, 3, false, "open", "total"}};
  c.kernels["layer1.0.gate"] = "dots";
  c.ranges = {{"layer1.0.gate", 3.25}, {"fc", 0.0}};
  c.data.training = {60000, {3, 32, 30}, std::string(32, 'a'), std::string(32, 'b')};
  c.data.held_out = {5000, 7, 50000};
  c.data.test = {10000, {3, 32, 30}, std::string(32, 'c'), std::string(32, 'd')};
  c.run = {{"host", "node7"}, {"finished", "2024-05-06 07:08:09"}};
  return c;
}

inline std::string bytes_in(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::string& path, const std::string& bytes) {
  std::filesystem::remove(path);  // some file systems flush a file that is overwritten, which takes long
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

template <class Function>
std::string error_text(Function function, ExitCode code) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    return error.what();
  }
  return "no error";
}

/// A fresh directory for each test, removed after it.
class InDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "/sluice-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = std::filesystem::canonical(name).string();
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string path(const std::string& name) const { return dir_ + "/" + name; }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir_))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

  std::string dir_;
};

}  // namespace sluice
