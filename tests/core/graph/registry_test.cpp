// Registering types, and their documentation from the code that reads the keys.
#include "core/graph/registry.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/error.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

template <class Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kUsage);
    return e.what();
  }
  return "no error";
}

TEST(Registry, NamesAreTakenOnce) {
  Registry registry;
  register_layers(registry);
  const auto no_layer = [](Keys&) { return std::unique_ptr<Layer>(); };
  EXPECT_EQ(error_of([&] { registry.add_layer("conv", "", no_layer); }),
            "layer type 'conv' is registered twice; two plug-ins may use the same name");
  EXPECT_EQ(error_of([&] { registry.add_layer("shortcut", "", no_layer); }),
            "layer type 'shortcut' is registered twice; two plug-ins may use the same name");
  const auto no_loss = [](Keys&) { return std::unique_ptr<AuxiliaryLoss>(); };
  registry.add_auxiliary_loss("penalty", "", no_loss);
  EXPECT_EQ(error_of([&] { registry.add_auxiliary_loss("penalty", "", no_loss); }),
            "auxiliary loss 'penalty' is registered twice; two plug-ins may use the same name");
}

TEST(Registry, RegistriesKnowNothingOfEachOther) {
  Registry full, empty;
  register_layers(full);
  EXPECT_TRUE(empty.types().empty());
  EXPECT_TRUE(full.is_layer("conv"));
  EXPECT_TRUE(full.is_composite("shortcut"));
  EXPECT_FALSE(full.is_layer("shortcut"));
  EXPECT_FALSE(full.is_layer("con"));
}

TEST(Registry, EveryTypeIsDocumented) {
  Registry registry;
  register_layers(registry);
  const std::vector<std::string> types = registry.types();
  EXPECT_TRUE(std::is_sorted(types.begin(), types.end()));
  for (const std::string& type : types) {
    EXPECT_FALSE(registry.doc(type).empty()) << type;
    for (const KeyDoc& key : registry.keys(type)) EXPECT_FALSE(key.doc.empty()) << type << ": " << key.name;
  }
}

TEST(Registry, KeysComeFromTheCodeThatReadsThem) {
  Registry registry;
  register_layers(registry);
  const std::vector<KeyDoc> keys = registry.keys("conv");
  const auto stride = std::find_if(keys.begin(), keys.end(), [](const KeyDoc& k) { return k.name == "stride"; });
  ASSERT_NE(stride, keys.end());
  EXPECT_EQ(stride->default_value, "1");
  EXPECT_EQ(stride->allowed, "at least 1");
  EXPECT_FALSE(stride->required);
  const auto channels = std::find_if(keys.begin(), keys.end(), [](const KeyDoc& k) { return k.name == "channels"; });
  ASSERT_NE(channels, keys.end());
  EXPECT_TRUE(channels->required);
}

}  // namespace
}  // namespace sluice
