// Files that sluice-export writes, read back by the schema: forms of operators in every version.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "apps/onnx/onnx_model.pb.h"
#include "apps/onnx/write_model.hpp"
#include "core/base/error.hpp"
#include "tests/core/graph/networks.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;

const char* const kNet =
    "[network]\ninput = 3x6x5\n[layer.conv]\ntype = conv\nchannels = 4\nkernel = 3\npad = 1\n[layer.act]\ntype = clip\n"
    "low = -1\nhigh = 2\n[layer.short]\ntype = pad_shortcut\nchannels = 6\n[layer.pool]\ntype = "
    "global_pool\n[layer.fc]\n"
    "type = linear\nfeatures = 2\nbias = no\n[layer.loss]\ntype = softmax_cross_entropy\nfrom = fc, labels\n";

const char* const kQuantised =
    "[network]\ninput = 3x6x5\n[layer.conv]\ntype = quantized_conv\nchannels = 4\nkernel = 3\nactivation_bits = 12\n";

sluice_onnx::ModelProto model_of(const std::string& ini, std::int64_t opset) {
  const Built built(ini);
  sluice_onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(onnx_model(portable_graph(*built, {}), opset, {{"key", "value"}})));
  return model;
}

const sluice_onnx::NodeProto& node_of(const sluice_onnx::ModelProto& model, const std::string& name) {
  for (const sluice_onnx::NodeProto& node : model.graph().node()) {
    if (node.name() == name) return node;
  }
  throw std::out_of_range(name);
}

std::vector<std::string> attributes_of(const sluice_onnx::NodeProto& node) {
  std::vector<std::string> names;
  for (const sluice_onnx::AttributeProto& attribute : node.attribute()) names.push_back(attribute.name());
  return names;
}

std::vector<std::string> inputs_of(const sluice_onnx::NodeProto& node) {
  return {node.input().begin(), node.input().end()};
}

TEST(OnnxModel, HasInputAnswerWeightsAndMetadata) {
  const sluice_onnx::ModelProto model = model_of(kNet, 17);
  EXPECT_EQ(model.producer_name(), "sluice");
  EXPECT_EQ(model.ir_version(), 8);
  EXPECT_EQ(model.opset_import(0).version(), 17);
  EXPECT_EQ(model.metadata_props(0).key() + "=" + model.metadata_props(0).value(), "key=value");
  ASSERT_EQ(model.graph().input_size(), 1);
  const sluice_onnx::ValueInfoProto& input = model.graph().input(0);
  EXPECT_EQ(input.name(), "images");
  const sluice_onnx::TensorShapeProto& shape = input.type().tensor_type().shape();
  EXPECT_EQ(shape.dim(0).dim_param(), "batch");
  EXPECT_EQ(shape.dim(1).dim_value(), 3);
  EXPECT_EQ(shape.dim(2).dim_value(), 6);
  EXPECT_EQ(shape.dim(3).dim_value(), 5);
  EXPECT_EQ(model.graph().output(0).name(), "logits");
  EXPECT_EQ(model.graph().output(0).type().tensor_type().shape().dim(1).dim_value(), 2);
  const sluice_onnx::TensorProto& weights = model.graph().initializer(0);
  EXPECT_EQ(weights.name(), "conv.weight");
  EXPECT_THAT(weights.dims(), ElementsAre(4, 3, 3, 3));
  EXPECT_EQ(weights.raw_data().size(), 4U * 27 * 4);
  const Built built(kNet);
  EXPECT_EQ(std::memcmp(weights.raw_data().data(), built->parameter_data(), weights.raw_data().size()), 0);
}

TEST(OnnxModel, BoundsAndPadsAreOperandsFromTheirVersionsOn) {
  const sluice_onnx::ModelProto old = model_of(kNet, 10), current = model_of(kNet, 11);
  EXPECT_THAT(attributes_of(node_of(old, "act")), ElementsAre("max", "min"));
  EXPECT_THAT(inputs_of(node_of(old, "act")), ElementsAre("conv"));
  EXPECT_THAT(attributes_of(node_of(current, "act")), ElementsAre());
  EXPECT_THAT(inputs_of(node_of(current, "act")), ElementsAre("conv", "act/min", "act/max"));
  EXPECT_THAT(attributes_of(node_of(old, "short")), ElementsAre("pads"));
  EXPECT_THAT(inputs_of(node_of(current, "short")), ElementsAre("act", "short/pads"));
  EXPECT_THAT(inputs_of(node_of(old, "fc")), ElementsAre("pool", "fc.weight", "fc/zero_bias"));
  EXPECT_THAT(inputs_of(node_of(current, "fc")), ElementsAre("pool", "fc.weight"));
}

TEST(OnnxModel, FormatsAreAsOldAsTheirOperators) {
  EXPECT_EQ(model_of(kNet, 9).ir_version(), 4);
  EXPECT_EQ(model_of(kNet, 10).ir_version(), 5);
  EXPECT_EQ(model_of(kNet, 13).ir_version(), 7);
  EXPECT_EQ(model_of(kNet, 22).ir_version(), 10);
  EXPECT_EQ(model_of(kNet, kNewestOpset).ir_version(), 13);
}

TEST(OnnxModel, OperatorsThatAVersionLacksAreNamed) {
  try {
    model_of(kQuantised, 10);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    EXPECT_STREQ(error.what(), "conv/levels: needs Round, which opset 10 does not have; use --opset=11 or a newer one");
  }
  EXPECT_EQ(node_of(model_of(kQuantised, 11), "conv/levels").op_type(), "Round");
}

}  // namespace
}  // namespace sluice
