// Restoring tensors: all or nothing, and every tensor that does not fit is named with both shapes.
#include "core/checkpoint/restore.hpp"

#include <gmock/gmock.h>

#include <limits>

#include "core/checkpoint/stored_checkpoint.hpp"
#include "tests/core/checkpoint/sample.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;

struct Memory {
  std::vector<float> a = std::vector<float>(5 * 3 * 3 * 2, -1.0f), b = std::vector<float>(7 * 5 * 3, -1.0f);
};

TEST(Restore, CopiesValuesAndFollowsSharedTensors) {
  const Checkpoint checkpoint = sample_checkpoint();
  Memory memory;
  const std::vector<TensorSlot> slots = {{"conv1/weight", {5, 3, 3, 2}, memory.a.data()},
                                         {"linear/weight", {7, 5, 1, 3}, memory.b.data()}};
  const RestoreReport report = restore(checkpoint, slots, "weights", false);
  EXPECT_EQ(memory.a, checkpoint.find("weights/conv1/weight")->values);
  EXPECT_EQ(memory.b, checkpoint.find("weights/layer1.0.conv1/weight")->values);
  EXPECT_THAT(report.restored, ElementsAre("weights/conv1/weight", "weights/linear/weight"));
  EXPECT_THAT(report.missing, ElementsAre());
  EXPECT_THAT(report.extra, ElementsAre("weights/bn1/scale", "weights/layer1.0.conv1/weight",
                                        "weights/layer1.0.gate/threshold", "weights/linear/scale"));
}

TEST(Restore, APrefixSelectsTheOptimisersTensors) {
  const Checkpoint checkpoint = sample_checkpoint();
  Memory memory;
  restore(checkpoint, {{"conv1/weight", {5, 3, 3, 2}, memory.a.data()}}, "optimizer/momentum");
  EXPECT_EQ(memory.a, checkpoint.find("optimizer/momentum/conv1/weight")->values);
}

TEST(Restore, NamesEveryTensorThatDoesNotFitAndCopiesNothing) {
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.file = "run/checkpoint-0000001234.h5";
  checkpoint.tensors.erase(checkpoint.tensors.begin() + 3, checkpoint.tensors.end());
  checkpoint.tensors[1].values[2] = std::numeric_limits<float>::quiet_NaN();
  checkpoint.tensors[1].values[4] = -std::numeric_limits<float>::infinity();
  Memory memory;
  const Memory untouched = memory;
  const std::vector<TensorSlot> slots = {{"conv1/weight", {5, 3, 2, 3}, memory.a.data()},
                                         {"bn1/scale", {5}, memory.b.data()},
                                         {"fc/bias", {10}, memory.b.data()}};
  EXPECT_EQ(error_text([&] { restore(checkpoint, slots, "weights"); }, ExitCode::kCheckpoint),
            "run/checkpoint-0000001234.h5: 4 of 4 tensors do not fit the network:\n"
            "  weights/conv1/weight: the checkpoint has 5x3x3x2, the network 5x3x2x3\n"
            "  weights/bn1/scale: 2 of 5 values are NaN or Inf, the first (nan) is element 2\n"
            "  weights/fc/bias: missing in the checkpoint, the network has 10\n"
            "  weights/layer1.0.conv1/weight: the checkpoint has 7x5x1x3, the network has no such tensor");
  EXPECT_EQ(memory.a, untouched.a);
  EXPECT_EQ(memory.b, untouched.b);
}

TEST(Restore, ShapesOfEqualSizeStillDiffer) {
  const Checkpoint checkpoint = sample_checkpoint();
  Memory memory;
  EXPECT_EQ(error_text(
                [&] {
                  restore(checkpoint, {{"bn1/scale", {5, 1}, memory.a.data()}}, "weights", false);
                },
                ExitCode::kCheckpoint),
            "checkpoint: 1 of 6 tensors does not fit the network:\n  weights/bn1/scale: the checkpoint has 5, the "
            "network 5x1");
}

class RestoreStored : public InDirectory {};

TEST_F(RestoreStored, FetchesEachTensorToItsPlace) {
  const Checkpoint checkpoint = sample_checkpoint();
  save(checkpoint, path("a.h5"));
  StoredCheckpoint stored(path("a.h5"));
  for (const CheckpointTensor& tensor : stored.document().tensors) EXPECT_TRUE(tensor.values.empty()) << tensor.path;
  EXPECT_EQ(stored.document().config, checkpoint.config);
  Memory memory;
  const std::vector<TensorSlot> slots = {{"conv1/weight", {5, 3, 3, 2}, memory.a.data()},
                                         {"linear/weight", {7, 5, 1, 3}, memory.b.data()}};
  const RestoreReport report = restore(stored, slots, "weights", false);
  EXPECT_EQ(memory.a, checkpoint.find("weights/conv1/weight")->values);
  EXPECT_EQ(memory.b, checkpoint.find("weights/layer1.0.conv1/weight")->values);
  EXPECT_THAT(report.restored, ElementsAre("weights/conv1/weight", "weights/linear/weight"));
}

TEST_F(RestoreStored, NamesEveryTensorThatDoesNotFit) {
  Checkpoint checkpoint = sample_checkpoint();
  checkpoint.tensors[1].values[2] = std::numeric_limits<float>::quiet_NaN();
  save(checkpoint, path("a.h5"));
  StoredCheckpoint stored(path("a.h5"));
  Memory memory;
  const std::vector<TensorSlot> slots = {{"conv1/weight", {5, 3, 2, 3}, memory.a.data()},
                                         {"bn1/scale", {5}, memory.b.data()},
                                         {"fc/bias", {10}, memory.b.data()}};
  EXPECT_EQ(error_text([&] { restore(stored, slots, "weights", false); }, ExitCode::kCheckpoint),
            path("a.h5") +
                ": 2 of 7 tensors do not fit the network:\n"
                "  weights/conv1/weight: the checkpoint has 5x3x3x2, the network 5x3x2x3\n"
                "  weights/bn1/scale: 1 of 5 values are NaN or Inf, the first (nan) is element 2");
}

TEST_F(RestoreStored, RefusesADamagedFileAtOnce) {
  save(sample_checkpoint(), path("a.h5"));
  std::string bytes = bytes_in(path("a.h5"));
  bytes[bytes.size() / 2] ^= 1;
  write_file(path("a.h5"), bytes);
  EXPECT_EQ(error_text([&] { StoredCheckpoint(path("a.h5")); }, ExitCode::kCheckpoint),
            error_text([&] { load(path("a.h5")); }, ExitCode::kCheckpoint));
}

}  // namespace
}  // namespace sluice
