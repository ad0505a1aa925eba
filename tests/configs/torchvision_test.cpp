// The networks that take torchvision's weights: as many numbers and multiply-adds as its documentation says.
#include <gtest/gtest.h>

#include "tests/configs/shipped.hpp"

namespace sluice {
namespace {

struct Published {
  const char* file;
  std::int64_t learned;
  double giga_macs;  ///< with three digits behind the point
};

class Torchvision : public testing::TestWithParam<Published> {};

TEST_P(Torchvision, IsOfThePublishedSize) {
  const Shipped net(GetParam().file, {"--define.stem=224", "--define.classes=1000"});
  EXPECT_EQ(net.learned(), GetParam().learned);
  EXPECT_NEAR(static_cast<double>(net.macs()) / 1e9, GetParam().giga_macs, 0.0006);
}

const Published kPublished[] = {{"resnet18.ini", 11689512, 1.814},      {"resnet34.ini", 21797672, 3.664},
                                {"resnet50.ini", 25557032, 4.089},      {"resnet101.ini", 44549160, 7.801},
                                {"vgg11_plain.ini", 132863336, 7.609},  {"vgg11.ini", 132868840, 7.609},
                                {"vgg16_plain.ini", 138357544, 15.470}, {"vgg16.ini", 138365992, 15.470},
                                {"mobilenetv2.ini", 3504872, 0.301},    {"shufflenetv2.ini", 2278604, 0.145}};

INSTANTIATE_TEST_SUITE_P(Networks, Torchvision, testing::ValuesIn(kPublished), [](const auto& published) {
  const std::string file = published.param.file;
  return file.substr(0, file.find('.'));
});

}  // namespace
}  // namespace sluice
