#include "apps/onnx/read_model.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>

#include "apps/onnx/onnx_model.pb.h"
#include "apps/onnx/read_tensor.hpp"
#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostPixels = std::int64_t{1} << 32;  // of all channels
constexpr char kScopes[] = "pkg.torch.onnx.name_scopes";

/// Nothing of "node_Split_853", which only numbers; "layer1.0.conv1" of PyTorch's "/layer1/layer1.0/conv1/Conv": names
/// of parts, one in the other, where each may repeat what it lies in, and an operation at the end.
std::string module_of_path(const std::string& name) {
  if (name.find('/') == std::string::npos) return starts_with(name, "node_") ? "" : name;
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end = name.find('/'); end != std::string::npos; begin = end + 1, end = name.find('/', begin)) {
    const std::string part = name.substr(begin, end - begin);
    if (part.empty()) continue;
    if (!parts.empty() && starts_with(part, parts.back() + ".")) parts.pop_back();
    parts.push_back(part);
  }
  return join(parts, ".");
}

/// The last but one of PyTorch's "['', 'layer1', 'layer1.0', 'layer1.0.conv1', 'conv2d']".
std::string module_of_scopes(const std::string& list) {
  const std::vector<std::string> scopes = split_list(list);
  if (scopes.size() < 2) return "";
  std::string scope = scopes[scopes.size() - 2];
  scope.erase(std::remove_if(scope.begin(), scope.end(), [](char c) { return c == '\'' || c == '[' || c == ']'; }),
              scope.end());
  return scope;
}

class Reader {
 public:
  Reader(sluice_onnx::ModelProto from, const std::string& path) : from_(std::move(from)), tensors_(path) {
    model_.file = path;
  }

  ForeignModel read() {
    check();
    for (const sluice_onnx::StringStringEntryProto& entry : from_.metadata_props())
      model_.metadata[entry.key()] = entry.value();
    for (sluice_onnx::TensorProto& tensor : *from_.mutable_graph()->mutable_initializer()) {
      add_constant(tensor.name(), tensors_.read(tensor.name(), tensor));
      tensor = {};  // frees its bytes
    }
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

  void check() {
    if (!from_.has_graph() || from_.ir_version() < 1 || from_.opset_import_size() == 0)
      refuse("is no ONNX model, or is damaged");
    for (const sluice_onnx::OperatorSetIdProto& set : from_.opset_import()) {
      if (!set.domain().empty() && set.domain() != "ai.onnx") continue;
      if (set.version() < 7 || set.version() > 30)
        refuse(concat("has operators of opset ", set.version(), "; 7 to 30 are known"));
      model_.opset = set.version();
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
        if (dims[d] < 1 || dims[d] > kMostPixels)
          refuse(concat("the input ", shown(input.name()), " has no fixed size; export it for images of one size"));
      }
      if (dims[1] > kMostPixels / dims[2] || dims[1] * dims[2] > kMostPixels / dims[3])
        refuse(concat("the input ", shown(input.name()), " is larger than images can be"));
      model_.image = Shape({dims[1], dims[2], dims[3]});
      model_.batch = std::max<std::int64_t>(dims[0], 0);
    }
    if (model_.input.empty()) refuse("has no input");
  }

  void add_constant(const std::string& name, ForeignConstant constant) {
    if (name.empty() || !known_.insert(name).second)
      refuse(concat("the value ", shown(name), " is given twice, or has no name"));
    model_.constants[name] = std::move(constant);
  }

  void add_node(const sluice_onnx::NodeProto& from) {
    ForeignNode node;
    node.op = from.op_type();
    node.name = from.name().empty() && from.output_size() > 0 ? from.output(0) : from.name();
    if (!from.domain().empty() && from.domain() != "ai.onnx")
      refuse(concat(shown(node.name), ": operator ", printable(node.op), " of ", printable(from.domain()),
                    " is not a standard one"));
    if (from.output_size() == 0 || from.output(0).empty()) refuse(concat(shown(node.name), ": gives no result"));
    node.module = module_of_path(from.name());
    for (const sluice_onnx::StringStringEntryProto& entry : from.metadata_props()) {
      if (entry.key() == kScopes) node.module = module_of_scopes(entry.value());
    }
    for (const std::string& input : from.input()) {
      if (!input.empty() && known_.count(input) == 0)
        refuse(concat(shown(node.name), ": reads ", shown(input), ", which nothing before it gives"));
      node.inputs.push_back(input);
    }
    for (const sluice_onnx::AttributeProto& attribute : from.attribute()) add_attribute(node, attribute);
    if (node.op == "Constant") return add_constant(from.output(0), constant_of(node));
    for (const std::string& result : from.output()) {
      if (!result.empty() && !known_.insert(result).second)
        refuse(concat("the value ", shown(result), " is given twice"));
      node.results.push_back(result);
    }
    model_.nodes.push_back(std::move(node));
  }

  void add_attribute(ForeignNode& node, const sluice_onnx::AttributeProto& from) {
    ForeignAttribute& to = node.attributes[from.name()];
    if (from.has_t()) {
      to = tensors_.read(node.name, from.t());
    } else if (from.floats_size() > 0) {
      const auto values = std::make_shared<std::vector<float>>(from.floats().begin(), from.floats().end());
      to = ForeignConstant{Shape{from.floats_size()}, Floats(values)};
    } else if (from.ints_size() > 0) {
      to = std::vector<std::int64_t>(from.ints().begin(), from.ints().end());
    } else if (from.has_f()) {
      to = static_cast<double>(from.f());
    } else if (from.has_i()) {
      to = from.i();
    } else if (from.has_s()) {
      to = from.s();
    } else {
      to = std::vector<std::int64_t>();
    }
  }

  /// Of a Constant's one attribute, in any of its forms.
  ForeignConstant constant_of(const ForeignNode& node) const {
    if (node.attributes.size() != 1) refuse(concat(shown(node.name), ": a constant without a value"));
    const ForeignAttribute& value = node.attributes.begin()->second;
    if (const auto* constant = std::get_if<ForeignConstant>(&value)) return *constant;
    if (const auto* whole = std::get_if<std::int64_t>(&value))
      return {Shape(), std::make_shared<const std::vector<std::int64_t>>(1, *whole)};
    if (const auto* number = std::get_if<double>(&value))
      return {Shape(), std::make_shared<const std::vector<float>>(1, static_cast<float>(*number))};
    const auto* wholes = std::get_if<std::vector<std::int64_t>>(&value);
    if (wholes == nullptr) refuse(concat(shown(node.name), ": a constant without a value"));
    return {Shape{static_cast<std::int64_t>(wholes->size())},
            std::make_shared<const std::vector<std::int64_t>>(*wholes)};
  }

  sluice_onnx::ModelProto from_;
  TensorReader tensors_;
  ForeignModel model_;
  std::set<std::string> known_;  ///< values
};

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw Error(ExitCode::kCheckpoint, path + ": " + why);
}

}  // namespace

ForeignModel read_onnx(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) refuse(path, concat("cannot open: ", std::strerror(errno)));
  file.seekg(0, std::ios::end);
  const std::streamoff size = file.tellg();
  if (size < 0) refuse(path, "cannot be read as a whole; is it a regular file?");
  if (size > std::numeric_limits<int>::max()) refuse(path, "is larger than an ONNX file can be (2 GiB)");
  file.seekg(0);
  sluice_onnx::ModelProto model;
  if (!model.ParseFromIstream(&file)) refuse(path, "is no ONNX model, or is damaged");
  return Reader(std::move(model), path).read();
}

ForeignModel parse_onnx(std::string_view bytes, const std::string& path) {
  sluice_onnx::ModelProto model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    refuse(path, "is no ONNX model, or is damaged");
  return Reader(std::move(model), path).read();
}

}  // namespace sluice
