// The experiments that are shipped: each is accepted as it stands, and what its commands change is accepted, too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/plugin/load.hpp"
#include "core/train/experiment.hpp"
#include "gating/gating.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

const std::string kFolder = std::string(SLUICE_SOURCE_DIR) + "/configs/experiments/";

class ShippedExperiment : public testing::Test {
 protected:
  ShippedExperiment() {
    register_layers(registry_);
    register_plugin(gating_plugin(), registry_);
  }
  Experiment load(const std::string& file, const std::vector<std::string>& overrides = {}) {
    return Experiment(Config::load({kFolder + file}, overrides), registry_);
  }
  Registry registry_;
};

TEST_F(ShippedExperiment, IsAcceptedAsItStands) {
  std::size_t files = 0;
  for (const fs::directory_entry& file : fs::directory_iterator(kFolder)) {
    SCOPED_TRACE(file.path().filename().string());
    ++files;
    EXPECT_NO_THROW(load(file.path().filename().string()));
  }
  EXPECT_GT(files, 10u);
}

TEST_F(ShippedExperiment, OfAFolderTakesAnotherSizeOfImages) {
  const Experiment by_definition = load("folder_resnet18.ini", {"define.image=224", "define.stem=224"});
  EXPECT_EQ(by_definition.network().input_shape(1), (Shape{1, 3, 224, 224}));
  const Experiment by_key = load("folder_resnet18.ini", {"network.input=3x96x96"});
  EXPECT_EQ(by_key.network().input_shape(1), (Shape{1, 3, 96, 96}));
}

}  // namespace
}  // namespace sluice
