// Files with an intact seal that mean harm, and checkpoints of which the library lost a part while they were written.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <hdf5.h>

#include <functional>
#include <sstream>

#include "core/checkpoint/checkpoint_read.hpp"
#include "core/checkpoint/foreign_file.hpp"
#include "core/checkpoint/inspect.hpp"
#include "core/checkpoint/seal.hpp"
#include "core/checkpoint/store.hpp"
#include "tests/core/checkpoint/sample.hpp"

namespace {

/// Counts down to the call that goes wrong.
int close_that_fails = 0, write_that_is_lost = 0;

template <class Function>
Function* library(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

// The linker prefers these to the library's own.
extern "C" herr_t H5Idec_ref(hid_t id) {
  static auto* const real = library<int(hid_t)>("H5Idec_ref");
  const bool data_set = H5Iget_type(id) == H5I_DATASET;
  const int left = real(id);
  return data_set && close_that_fails > 0 && --close_that_fails == 0 ? -1 : left;
}
extern "C" herr_t H5Dwrite(hid_t set, hid_t type, hid_t memory, hid_t space, hid_t plist, const void* values) {
  static auto* const real = library<herr_t(hid_t, hid_t, hid_t, hid_t, hid_t, const void*)>("H5Dwrite");
  if (write_that_is_lost > 0 && --write_that_is_lost == 0) return 0;
  return real(set, type, memory, space, plist, values);
}

namespace sluice {
namespace {

using ::testing::HasSubstr;

class Hostile : public InDirectory {
 protected:
  void SetUp() override {
    InDirectory::SetUp();
    save(sample_checkpoint(), path("a.h5"));
  }
  /// Changes the HDF5 part and seals it again, or not.
  void forge(const std::function<void(hid_t file)>& edit, bool sealed = true) {
    const std::vector<char> plain = read_sealed(path("a.h5"));
    write_file(path("a.h5"), {plain.begin(), plain.end()});
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
    const hid_t file = H5Fopen(path("a.h5").c_str(), H5F_ACC_RDWR, access);
    edit(file);
    H5Fclose(file);
    H5Pclose(access);
    const std::string changed = bytes_in(path("a.h5"));
    std::vector<char> bytes(changed.begin(), changed.end());
    if (sealed) append_seal(bytes);
    write_file(path("a.h5"), {bytes.begin(), bytes.end()});
  }
  /// conv1's weight becomes a data set that nobody writes.
  void forge_weight(const std::vector<hsize_t>& dims, const std::function<void(hid_t creation)>& store,
                    bool sealed = true) {
    forge(
        [&](hid_t file) {
          H5Ldelete(file, "weights/conv1/weight", H5P_DEFAULT);
          const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
          store(creation);
          const hid_t space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
          const hid_t set =
              H5Dcreate2(file, "weights/conv1/weight", H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
          EXPECT_GE(set, 0);
          H5Dclose(set), H5Sclose(space), H5Pclose(creation);
        },
        sealed);
  }
  std::string load_error() {
    return error_text([&] { load(path("a.h5")); }, ExitCode::kCheckpoint);
  }
  /// What sluice-inspect prints; its exit code goes to code_.
  std::string inspected(bool verify) {
    InspectOptions options;
    options.file = path("a.h5");
    options.verify = verify;
    options.stats = !verify;
    options.timeout_seconds = 30;
    std::ostringstream out, err;
    code_ = inspect(options, out, err);
    return out.str();
  }

  int code_ = -1;
};

const std::vector<hsize_t> kWeight = {5, 3, 3, 2};

TEST_F(Hostile, ValuesInOtherFiles) {
  write_file(path("private.bin"), std::string(1000, 'A'));
  const std::string weight = path("a.h5: /weights/conv1/weight: ");
  const std::string refused = weight + "its values lie in another file, " + path("private.bin") + ", which is not read";
  const auto external = [&](hid_t creation) { H5Pset_external(creation, path("private.bin").c_str(), 0, 360); };
  forge_weight(kWeight, external);
  EXPECT_EQ(load_error(), refused);
  EXPECT_THAT(inspected(true), HasSubstr(refused));
  EXPECT_EQ(code_, 5);
  EXPECT_THAT(inspected(false), HasSubstr("which is not read"));
  EXPECT_EQ(code_, 5);

  save(sample_checkpoint(), path("a.h5"));
  forge_weight(kWeight, external, false);
  ForeignFile foreign(path("a.h5"), "weights");
  EXPECT_EQ(error_text([&] { foreign.read("conv1/weight"); }, ExitCode::kCheckpoint), refused);
}

TEST_F(Hostile, PartsInOtherFiles) {
  save(sample_checkpoint(), path("b.h5"));
  forge_weight(kWeight, [&](hid_t creation) {
    const hid_t space = H5Screate_simple(4, kWeight.data(), nullptr);
    H5Pset_virtual(creation, space, path("b.h5").c_str(), "/weights/conv1/weight", space);
    H5Sclose(space);
  });
  EXPECT_THAT(load_error(), HasSubstr("/weights/conv1/weight: "));
}

TEST_F(Hostile, LinksIntoOtherFiles) {
  save(sample_checkpoint(), path("b.h5"));
  forge([&](hid_t file) {
    H5Ldelete(file, "weights", H5P_DEFAULT);
    H5Lcreate_external(path("b.h5").c_str(), "/weights", file, "weights", H5P_DEFAULT, H5P_DEFAULT);
  });
  EXPECT_THAT(load_error(),
              HasSubstr("a link leads into another file (" + path("b.h5") + ", /weights), which is not read"));
  inspected(true);
  EXPECT_EQ(code_, 5);
}

TEST_F(Hostile, ShapesThatStoreNothingEndAtOnce) {
  forge_weight({1 << 20, 1 << 20, 3, 3}, [](hid_t creation) {
    const hsize_t chunk[] = {1, 1, 3, 3};
    H5Pset_chunk(creation, 4, chunk);
  });
  const std::string weight = path("a.h5: /weights/conv1/weight: ");
  EXPECT_EQ(load_error(), weight + "claims shape 1048576x1048576x3x3 but stores 0 bytes");
  EXPECT_THAT(inspected(true), HasSubstr("claims shape 1048576x1048576x3x3 but stores 0 bytes"));
  EXPECT_EQ(code_, 5);
  EXPECT_THAT(inspected(false),
              HasSubstr("its chunk at 0x0x0x0 was never written (0 of 1099511627776 chunks are stored)"));
  EXPECT_EQ(code_, 5);
}

TEST_F(Hostile, WhatTheLibraryLostIsNoCheckpoint) {
  CheckpointStore store(path("checkpoints"), 2);
  store.save(sample_checkpoint(1, 10), 10, true);
  const std::string target = store.path_of(20);
  const auto failed_save = [&] {
    return error_text([&] { store.save(sample_checkpoint(2, 20), 20, true); }, ExitCode::kEnvironment);
  };
  close_that_fails = 5;
  EXPECT_THAT(failed_save(), HasSubstr(target + ": "));
  for (int lost = 1; lost <= 25; lost += 2) {
    write_that_is_lost = lost;
    const std::string error = failed_save();
    EXPECT_THAT(error, HasSubstr("the checkpoint just written does not read back: " + target + ": "));
    EXPECT_THAT(error, HasSubstr("; check disk and memory"));
    EXPECT_EQ(store.steps(), std::vector<std::int64_t>{10});
    ASSERT_EQ(load(store.best_path()).state.at("step"), StateValue{std::int64_t{10}});
  }
  EXPECT_EQ(write_that_is_lost, 0);
  store.save(sample_checkpoint(2, 20), 20, true);
  EXPECT_EQ(store.steps(), (std::vector<std::int64_t>{10, 20}));
}

TEST_F(Hostile, WhatAReaderSendsIsWhatIsInTheFile) {
  const Checkpoint here = read_checkpoint_file(path("a.h5")), sent = load(path("a.h5"));
  EXPECT_EQ(content_digest(sent), content_digest(here));
  EXPECT_EQ(sent.run, here.run);
  EXPECT_EQ(sent.file, path("a.h5"));
}

}  // namespace
}  // namespace sluice
