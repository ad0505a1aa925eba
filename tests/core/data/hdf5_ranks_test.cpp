// What several ranks read of an HDF5 set that is larger than the memory granted.
#include <gtest/gtest.h>
#include <hdf5.h>
#include <unistd.h>

#include <set>
#include <stdexcept>

#include "core/data/pipeline.hpp"
#include "tests/core/data/files.hpp"

namespace sluice {
namespace {

/// The processes that this one has started and not ended.
std::set<int> own_processes() {
  std::set<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "stat");
    int id = 0, parent = 0;
    std::string name, state;
    if (file >> id >> name >> state >> parent && parent == getpid()) found.insert(id);
  }
  return found;
}

/// Bytes that a process has read so far.
std::int64_t bytes_read(int process) {
  std::ifstream file(concat("/proc/", process, "/io"));
  std::string name;
  std::int64_t bytes = 0;
  EXPECT_TRUE(file >> name >> bytes);
  EXPECT_EQ(name, "rchar:");
  return bytes;
}

struct EpochRead {
  std::vector<std::vector<std::int64_t>> batches;  // images
  double bytes = 0;                                // that their reader has read
};

EpochRead read_epoch(const DataOptions& data, const PipelineOptions& options) {
  const std::set<int> others = own_processes();
  const auto dataset = open_dataset(data, Split::kTrain);
  std::vector<int> readers;
  for (const int process : own_processes())
    if (others.count(process) == 0) readers.push_back(process);
  if (readers.size() != 1) throw std::runtime_error("expected one reader");
  Pipeline pipeline(*dataset, options);
  pipeline.start(0);
  EpochRead epoch;
  const std::int64_t before = bytes_read(readers[0]);
  while (const Batch* batch = pipeline.next()) epoch.batches.push_back(batch->indices);
  epoch.bytes = static_cast<double>(bytes_read(readers[0]) - before);
  return epoch;
}

/// 100003 grey images of 8x8; a group has eight chunks of 128 images, and 64 groups fit into memory.
class SharedHdf5Set : public ::testing::Test {
 protected:
  static constexpr hsize_t kCount = 100003;
  SharedHdf5Set() {
    const hid_t file = H5Fcreate((folder_ / "train.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    write(file, "images", {kCount, 8, 8});
    write(file, "labels", {kCount});
    H5Fclose(file);
    data_.kind = DataKind::kHdf5;
    data_.dir = folder_.path();
    data_.hdf5_memory_mib = 4;
    pipeline_.batch = 256;
    pipeline_.workers = 0;
    pipeline_.normalization = {{0.5}, {1}};
  }

  static void write(hid_t file, const char* name, const std::vector<hsize_t>& dims) {
    hsize_t count = 1;
    for (const hsize_t each : dims) count *= each;
    std::vector<hsize_t> chunk = dims;
    chunk[0] = 128;
    const hid_t space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, static_cast<int>(dims.size()), chunk.data());
    const hid_t set = H5Dcreate2(file, name, H5T_NATIVE_UINT8, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    EXPECT_GE(H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, Bytes(count, 7).data()), 0);
    H5Dclose(set), H5Pclose(creation), H5Sclose(space);
  }

  const TempFolder folder_;
  DataOptions data_;
  PipelineOptions pipeline_;
};

/// Batches of one process, its ranks' parts one behind the other; the last one is smaller.
TEST_F(SharedHdf5Set, RanksReadLittleMoreThanTheirShareOfTheChunks) {
  pipeline_.shuffle = true;
  const EpochRead alone = read_epoch(data_, pipeline_);
  EXPECT_EQ(alone.batches.back().size(), kCount % 256);
  for (pipeline_.world = 2; pipeline_.world <= 4; pipeline_.world += 2) {
    std::vector<std::vector<std::int64_t>> joined(alone.batches.size());
    for (pipeline_.rank = 0; pipeline_.rank < pipeline_.world; ++pipeline_.rank) {
      const EpochRead own = read_epoch(data_, pipeline_);
      ASSERT_EQ(own.batches.size(), joined.size());
      for (std::size_t b = 0; b < joined.size(); ++b)
        joined[b].insert(joined[b].end(), own.batches[b].begin(), own.batches[b].end());
      EXPECT_LT(own.bytes / alone.bytes, 1.0 / static_cast<double>(pipeline_.world) + 0.22)
          << "rank " << pipeline_.rank;
    }
    EXPECT_EQ(joined, alone.batches);
  }
}

TEST_F(SharedHdf5Set, AnEvaluationsRanksReadTheirChunksAlone) {
  const EpochRead alone = read_epoch(data_, pipeline_);
  pipeline_.whole_batches = true;
  pipeline_.world = 4;
  std::vector<std::vector<std::int64_t>> joined;
  for (pipeline_.rank = 0; pipeline_.rank < pipeline_.world; ++pipeline_.rank) {
    const EpochRead own = read_epoch(data_, pipeline_);
    joined.insert(joined.end(), own.batches.begin(), own.batches.end());
    EXPECT_LT(own.bytes / alone.bytes, 0.27) << "rank " << pipeline_.rank;
  }
  EXPECT_EQ(joined, alone.batches);
}

}  // namespace
}  // namespace sluice
