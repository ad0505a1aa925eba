#include "apps/onnx/write_model.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>

#include "apps/onnx/onnx_model.pb.h"
#include "core/base/error.hpp"
#include "core/graph/version.hpp"

namespace sluice {
namespace {

constexpr char kProducer[] = "sluice";

/// Of tensors, in ONNX's numbers.
enum ElementType { kFloatType = 1, kUInt8Type = 2, kInt8Type = 3, kInt64Type = 7 };
/// Of attributes.
enum AttributeType { kFloatAttribute = 1, kIntAttribute = 2, kIntsAttribute = 7 };

/// From `opset` on an operator takes what was an attribute as an operand, behind those that it had.
struct BecameOperand {
  const char* op;
  const char* attribute;
  std::int64_t opset;
};
/// In the order of the operands.
constexpr BecameOperand kBecameOperands[] = {{"Clip", "min", 11},     {"Clip", "max", 11},      {"Pad", "pads", 11},
                                             {"Reshape", "shape", 5}, {"Slice", "starts", 10},  {"Slice", "ends", 10},
                                             {"Slice", "axes", 10},   {"ReduceMax", "axes", 18}};

/// Operators, or attributes of theirs, that opsets from kOldestOpset on do not all have.
struct Newcomer {
  const char* op;
  const char* attribute;  ///< null: whatever it has
  std::int64_t opset;
};
constexpr Newcomer kNewcomers[] = {{"QuantizeLinear", nullptr, 10},
                                   {"DequantizeLinear", nullptr, 10},
                                   {"DequantizeLinear", "axis", 13},
                                   {"Round", nullptr, 11}};

/// The oldest version of the file format that may have operators of an opset.
std::int64_t ir_version(std::int64_t opset) {
  struct Since {
    std::int64_t opset, ir;
  };
  constexpr Since kSince[] = {{25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9}, {15, 8}, {12, 7}, {11, 6}, {10, 5}};
  for (const Since& since : kSince) {
    if (opset >= since.opset) return since.ir;
  }
  return 4;
}

template <class T>
std::string raw(const std::vector<T>& values) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ONNX stores numbers so");
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

int type_of(const std::vector<float>&) {
  return kFloatType;
}
int type_of(const std::vector<std::int8_t>&) {
  return kInt8Type;
}
int type_of(const std::vector<std::uint8_t>&) {
  return kUInt8Type;
}
int type_of(const std::vector<std::int64_t>&) {
  return kInt64Type;
}

class ModelWriter {
 public:
  ModelWriter(const PortableGraph& graph, std::int64_t opset) : from_(graph), opset_(opset) {}

  std::string write(const std::map<std::string, std::string>& metadata) {
    model_.set_ir_version(ir_version(opset_));
    model_.set_producer_name(kProducer);
    model_.set_producer_version(sluice_version());
    model_.add_opset_import()->set_version(opset_);
    to_ = model_.mutable_graph();
    to_->set_name(kProducer);
    for (const PortableNode& node : from_.nodes()) write(node);
    describe(*to_->add_input(), PortableGraph::kInput, from_.input_in_bytes() ? kUInt8Type : kFloatType,
             from_.input_shape());
    describe(*to_->add_output(), from_.answer(), kFloatType, from_.answer_shape());
    for (const auto& [key, value] : metadata) {
      sluice_onnx::StringStringEntryProto& entry = *model_.add_metadata_props();
      entry.set_key(key);
      entry.set_value(value);
    }
    if (model_.ByteSizeLong() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
      throw Error(ExitCode::kUsage, concat("the model takes ", model_.ByteSizeLong() >> 20,
                                           " MiB, but an ONNX file can hold 2048; export a smaller network"));
    return model_.SerializeAsString();
  }

 private:
  static void describe(sluice_onnx::ValueInfoProto& value, const std::string& name, int type, const Shape& image) {
    value.set_name(name);
    sluice_onnx::TypeProto::Tensor& tensor = *value.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(type);
    tensor.mutable_shape()->add_dim()->set_dim_param("batch");
    for (std::int64_t size : image.dims()) tensor.mutable_shape()->add_dim()->set_dim_value(size);
  }

  void write(const PortableNode& from) {
    check(from);
    sluice_onnx::NodeProto& to = *to_->add_node();
    to.set_op_type(from.op);
    to.set_name(from.name);
    for (const std::string& input : from.inputs) {
      to.add_input(input);
      const auto constant = from_.constants().find(input);
      if (constant != from_.constants().end()) write(constant->first, constant->second);
    }
    if (from.op == "Gemm" && from.inputs.size() < 3 && opset_ < 11) to.add_input(zero(from));
    std::set<std::string> operands;
    for (const BecameOperand& rule : kBecameOperands) {
      if (from.op == rule.op && opset_ >= rule.opset && from.attributes.count(rule.attribute) != 0) {
        operands.insert(rule.attribute);
        to.add_input(operand(from.name + "/" + rule.attribute, from.attributes.at(rule.attribute)));
      }
    }
    to.add_output(from.result);
    for (const auto& [name, value] : from.attributes) {
      if (operands.count(name) == 0) write(*to.add_attribute(), name, value);
    }
  }

  void check(const PortableNode& node) const {
    for (const Newcomer& newcomer : kNewcomers) {
      const bool has = newcomer.attribute == nullptr || node.attributes.count(newcomer.attribute) != 0;
      if (node.op != newcomer.op || !has || opset_ >= newcomer.opset) continue;
      throw Error(ExitCode::kUsage,
                  concat(node.name, ": needs ", newcomer.op, has && newcomer.attribute != nullptr ? " by channel" : "",
                         ", which opset ", opset_, " does not have; use --opset=", newcomer.opset, " or a newer one"));
    }
  }

  static void write(sluice_onnx::AttributeProto& to, const std::string& name, const PortableAttribute& value) {
    to.set_name(name);
    if (const auto* whole = std::get_if<std::int64_t>(&value)) {
      to.set_i(*whole);
      to.set_type(kIntAttribute);
    } else if (const auto* number = std::get_if<double>(&value)) {
      to.set_f(static_cast<float>(*number));
      to.set_type(kFloatAttribute);
    } else {
      for (std::int64_t item : std::get<std::vector<std::int64_t>>(value)) to.add_ints(item);
      to.set_type(kIntsAttribute);
    }
  }

  /// A constant, once.
  void write(const std::string& name, const PortableTensor& tensor) {
    if (!written_.insert(name).second) return;
    std::visit([&](const auto& values) { add_tensor(name, tensor.shape.dims(), values); }, tensor.values);
  }

  template <class T>
  void add_tensor(const std::string& name, const std::vector<std::int64_t>& dims, const std::vector<T>& values) {
    sluice_onnx::TensorProto& to = *to_->add_initializer();
    to.set_name(name);
    to.set_data_type(type_of(values));
    for (std::int64_t dim : dims) to.add_dims(dim);
    to.set_raw_data(raw(values));
  }

  /// An attribute as a constant; returns its name.
  std::string operand(std::string name, const PortableAttribute& value) {
    while (from_.constants().count(name) != 0) name += "_";
    if (const auto* number = std::get_if<double>(&value)) {
      add_tensor(name, {}, std::vector<float>{static_cast<float>(*number)});
    } else {
      const auto& items = std::get<std::vector<std::int64_t>>(value);
      add_tensor(name, {static_cast<std::int64_t>(items.size())}, items);
    }
    return name;
  }

  /// What a product without a bias adds in versions that want one.
  std::string zero(const PortableNode& node) {
    add_tensor(node.name + "/zero_bias", {1}, std::vector<float>{0});
    return node.name + "/zero_bias";
  }

  const PortableGraph& from_;
  std::int64_t opset_;
  sluice_onnx::ModelProto model_;
  sluice_onnx::GraphProto* to_ = nullptr;
  std::set<std::string> written_;
};

}  // namespace

std::string onnx_model(const PortableGraph& graph, std::int64_t opset,
                       const std::map<std::string, std::string>& metadata) {
  return ModelWriter(graph, opset).write(metadata);
}

/// The format's version, which takes a byte, then the producer's name and its length.
bool is_onnx_of_sluice(const std::string& path) {
  std::array<char, 4 + sizeof(kProducer) - 1> begin{};
  std::ifstream file(path, std::ios::binary);
  if (!file.read(begin.data(), static_cast<std::streamsize>(begin.size()))) return false;
  return begin[0] == 0x08 && begin[2] == 0x12 && begin[3] == static_cast<char>(sizeof(kProducer) - 1) &&
         std::equal(begin.begin() + 4, begin.end(), kProducer);
}

}  // namespace sluice
