#include "apps/onnx/read_model.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>

#include "apps/onnx/onnx_model.pb.h"
#include "core/base/error.hpp"
#include "core/base/printable.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostDimension = std::int64_t{1} << 32;
enum ElementType { kFloatType = 1, kInt64Type = 7 };

class Reader {
 public:
  explicit Reader(const std::string& path) { model_.file = path; }

  ForeignModel read() {
    parse();
    for (const sluice_onnx::StringStringEntryProto& entry : from_.metadata_props())
      model_.metadata[entry.key()] = entry.value();
    for (const sluice_onnx::TensorProto& tensor : from_.graph().initializer()) add_constant(tensor.name(), tensor);
    read_input();
    known_.insert(model_.input);
    for (const sluice_onnx::NodeProto& node : from_.graph().node()) add_node(node);
    if (from_.graph().output_size() != 1)
      refuse(concat("has ", from_.graph().output_size(), " results, expected one answer"));
    model_.answer = from_.graph().output(0).name();
    if (known_.count(model_.answer) == 0) refuse(concat("no operator gives the result ", shown(model_.answer)));
    return std::move(model_);
  }

 private:
  [[noreturn]] void refuse(const std::string& text) const {
    throw Error(ExitCode::kCheckpoint, model_.file + ": " + text);
  }
  static std::string shown(const std::string& name) { return "'" + printable(name) + "'"; }

  void parse() {
    std::ifstream file(model_.file, std::ios::binary);
    if (!file) refuse(concat("cannot open: ", std::strerror(errno)));
    file.seekg(0, std::ios::end);
    const std::streamoff size = file.tellg();
    if (size < 0) refuse("cannot be read as a whole; is it a regular file?");
    if (size > std::numeric_limits<int>::max()) refuse("is larger than an ONNX file can be (2 GiB)");
    file.seekg(0);
    const bool parsed = from_.ParseFromIstream(&file);
    if (!parsed || !from_.has_graph() || from_.ir_version() < 1 || from_.opset_import_size() == 0)
      refuse("is no ONNX model, or is damaged");
    for (const sluice_onnx::OperatorSetIdProto& set : from_.opset_import()) {
      const bool ours = set.domain().empty() || set.domain() == "ai.onnx";
      if (ours && (set.version() < 7 || set.version() > 30))
        refuse(concat("has operators of opset ", set.version(), "; 7 to 30 are known"));
    }
  }

  /// The one that is no constant; old files name these as well.
  void read_input() {
    for (const sluice_onnx::ValueInfoProto& input : from_.graph().input()) {
      if (model_.constants.count(input.name()) != 0) continue;
      if (!model_.input.empty())
        refuse(concat("has several inputs, such as ", shown(input.name()), "; expected one of images"));
      model_.input = input.name();
      std::vector<std::int64_t> dims;
      for (const sluice_onnx::TensorShapeProto::Dimension& dim : input.type().tensor_type().shape().dim())
        dims.push_back(dim.dim_value());
      if (dims.size() != 4) refuse(concat("the input ", shown(input.name()), " is no image N x C x H x W"));
      for (std::size_t d = 1; d < 4; ++d) {
        if (dims[d] < 1 || dims[d] > kMostDimension)
          refuse(concat("the input ", shown(input.name()), " has no fixed size; export it for images of one size"));
      }
      model_.image = Shape({dims[1], dims[2], dims[3]});
    }
    if (model_.input.empty()) refuse("has no input");
  }

  void add_constant(const std::string& name, const sluice_onnx::TensorProto& tensor) {
    if (name.empty() || !known_.insert(name).second)
      refuse(concat("the value ", shown(name), " is given twice, or has no name"));
    if (tensor.data_location() != 0)
      refuse(concat("the values of ", shown(name), " lie in another file; save the model as one"));
    ForeignConstant constant;
    std::vector<std::int64_t> dims;
    std::int64_t count = 1;
    for (std::int64_t dim : tensor.dims()) {
      if (dim < 0 || dim > kMostDimension || (dim > 0 && count > kMostDimension / dim))
        refuse(concat(shown(name), " has a dimension of ", dim));
      count *= dim;
      dims.push_back(dim);
    }
    constant.shape = Shape(dims);
    if (tensor.data_type() == kFloatType) {
      constant.values = values<float>(name, tensor, tensor.float_data(), count);
    } else if (tensor.data_type() == kInt64Type) {
      constant.values = values<std::int64_t>(name, tensor, tensor.int64_data(), count);
    } else {
      refuse(
          concat(shown(name), " has numbers of type ", tensor.data_type(), "; float (1) and int64 (7) are understood"));
    }
    model_.constants[name] = std::move(constant);
  }

  template <class T, class Field>
  std::vector<T> values(const std::string& name, const sluice_onnx::TensorProto& tensor, const Field& field,
                        std::int64_t count) const {
    const auto wanted = static_cast<std::size_t>(count);
    const std::string& raw = tensor.raw_data();
    const std::size_t held = tensor.has_raw_data() ? raw.size() / sizeof(T) : static_cast<std::size_t>(field.size());
    if (held != wanted || (tensor.has_raw_data() && raw.size() % sizeof(T) != 0))
      refuse(concat(shown(name), " holds ", held, " numbers, its shape wants ", count));
    if (!tensor.has_raw_data()) return {field.begin(), field.end()};
    std::vector<T> read(wanted);
    if (wanted > 0) std::memcpy(read.data(), raw.data(), raw.size());
    return read;
  }

  void add_node(const sluice_onnx::NodeProto& from) {
    ForeignNode node;
    node.op = from.op_type();
    node.name = from.name().empty() && from.output_size() > 0 ? from.output(0) : from.name();
    if (!from.domain().empty() && from.domain() != "ai.onnx")
      refuse(concat(shown(node.name), ": operator ", printable(node.op), " of ", printable(from.domain()),
                    " is not a standard one"));
    if (from.output_size() == 0 || from.output(0).empty()) refuse(concat(shown(node.name), ": gives no result"));
    node.result = from.output(0);
    for (const std::string& input : from.input()) {
      if (!input.empty() && known_.count(input) == 0)
        refuse(concat(shown(node.name), ": reads ", shown(input), ", which nothing before it gives"));
      node.inputs.push_back(input);
    }
    if (node.op == "Constant") return add_constant_node(from);
    for (const sluice_onnx::AttributeProto& attribute : from.attribute()) {
      if (attribute.ints_size() > 0) {
        node.attributes[attribute.name()] = std::vector<std::int64_t>(attribute.ints().begin(), attribute.ints().end());
      } else if (attribute.has_f()) {
        node.attributes[attribute.name()] = static_cast<double>(attribute.f());
      } else if (attribute.has_i()) {
        node.attributes[attribute.name()] = attribute.i();
      }
    }
    for (const std::string& result : from.output()) {
      if (!result.empty() && !known_.insert(result).second)
        refuse(concat("the value ", shown(result), " is given twice"));
    }
    model_.nodes.push_back(std::move(node));
  }

  void add_constant_node(const sluice_onnx::NodeProto& from) {
    if (from.attribute_size() != 1 || !from.attribute(0).has_t())
      refuse(concat(shown(from.name()), ": a constant without a tensor"));
    add_constant(from.output(0), from.attribute(0).t());
  }

  sluice_onnx::ModelProto from_;
  ForeignModel model_;
  std::set<std::string> known_;  ///< values
};

}  // namespace

ForeignModel read_onnx(const std::string& path) {
  return Reader(path).read();
}

}  // namespace sluice
