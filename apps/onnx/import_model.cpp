#include "apps/onnx/import_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

using Ints = std::vector<std::int64_t>;

/// What has become of a value: a layer, and whether it is an image or a row of numbers for each image.
struct Value {
  std::string layer;
  enum class Form { kImage, kPooled, kRows } form = Form::kImage;  ///< kPooled: rows that the model calls 1x1 images
};

/// The text of one layer.
class Section {
 public:
  Section(const std::string& name, const std::string& type) : text_("\n[layer." + name + "]\ntype = " + type + "\n") {}
  template <class T>
  Section& set(const char* key, const T& value) {
    text_ += concat(key, " = ", value, "\n");
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// Translates one operator after the other.
class Translation {
 public:
  explicit Translation(const ForeignModel& model) : model_(model) {
    values_[model.input] = {"data", Value::Form::kImage};
  }

  ImportedModel run() {
    const Shape& image = model_.image;
    made_.ini = concat("# Made by sluice-import.\n[network]\ninput = ", image[0], "x", image[1], "x", image[2], "\n");
    for (const ForeignNode& node : model_.nodes) translate(node);
    const Value& answer = values_.at(model_.answer);
    if (answer.form == Value::Form::kImage) refuse("the answer is an image, expected a number for each class");
    made_.ini += concat("\n[layer.loss]\ntype = softmax_cross_entropy\nfrom = ", answer.layer, ", labels\n");
    add_normalization();
    return std::move(made_);
  }

 private:
  using Translator = void (Translation::*)(const ForeignNode&);

  [[noreturn]] void refuse(const std::string& text) const {
    throw Error(ExitCode::kCheckpoint, model_.file + ": " + text);
  }
  [[noreturn]] void refuse(const ForeignNode& node, const std::string& why) const {
    refuse(concat("'", printable(node.name), "': operator ", printable(node.op), " ", why));
  }

  static const std::map<std::string, Translator>& translators() {
    static const std::map<std::string, Translator> table = {{"Conv", &Translation::conv},
                                                            {"BatchNormalization", &Translation::batchnorm},
                                                            {"Gemm", &Translation::gemm},
                                                            {"Relu", &Translation::relu},
                                                            {"Clip", &Translation::clip},
                                                            {"LeakyRelu", &Translation::leaky_relu},
                                                            {"Sigmoid", &Translation::sigmoid},
                                                            {"HardSigmoid", &Translation::hard_sigmoid},
                                                            {"HardSwish", &Translation::hard_swish},
                                                            {"MaxPool", &Translation::max_pool},
                                                            {"AveragePool", &Translation::average_pool},
                                                            {"GlobalAveragePool", &Translation::global_pool},
                                                            {"Flatten", &Translation::flatten},
                                                            {"Add", &Translation::add},
                                                            {"Mul", &Translation::multiply},
                                                            {"Concat", &Translation::concat_channels},
                                                            {"Identity", &Translation::identity},
                                                            {"Dropout", &Translation::identity}};
    return table;
  }

  void translate(const ForeignNode& node) {
    const auto found = translators().find(node.op);
    if (found == translators().end()) refuse(node, "has no layer; docs/import.md lists those that have");
    (this->*found->second)(node);
  }

  // Operands and attributes.

  const Value& value(const ForeignNode& node, std::size_t i) const {
    const auto found = i < node.inputs.size() ? values_.find(node.inputs[i]) : values_.end();
    if (found == values_.end()) refuse(node, concat("computes with a constant as operand ", i));
    return found->second;
  }
  const ForeignConstant* constant(const ForeignNode& node, std::size_t i) const {
    const auto found = i < node.inputs.size() ? model_.constants.find(node.inputs[i]) : model_.constants.end();
    return found == model_.constants.end() ? nullptr : &found->second;
  }
  template <class T>
  T attribute(const ForeignNode& node, const char* name, T otherwise) const {
    const auto found = node.attributes.find(name);
    if (found == node.attributes.end()) return otherwise;
    const T* const value = std::get_if<T>(&found->second);
    if (value == nullptr) refuse(node, concat("has another kind of ", name, " than it should"));
    return *value;
  }
  std::int64_t whole(const ForeignNode& node, const char* name, std::int64_t otherwise) const {
    return attribute<std::int64_t>(node, name, otherwise);
  }
  /// One number for both directions, or for all four sides.
  std::int64_t same(const ForeignNode& node, const char* name, std::int64_t otherwise) const {
    const Ints items = attribute<Ints>(node, name, {otherwise});
    for (std::int64_t item : items) {
      if (item != items[0]) refuse(node, concat("has ", name, " that differ by direction; layers have one number"));
    }
    return items[0];
  }
  /// A bound or a factor: an attribute, or an operand that is a constant.
  double number(const ForeignNode& node, const char* name, std::size_t operand, double otherwise) const {
    const ForeignConstant* const given = constant(node, operand);
    if (given == nullptr) return attribute<double>(node, name, otherwise);
    const auto* floats = std::get_if<std::vector<float>>(&given->values);
    if (floats == nullptr || floats->size() != 1) refuse(node, concat("has no number for ", name));
    return static_cast<double>((*floats)[0]);
  }

  // Layers.

  /// The name of the tensor without its last part where it is one of PyTorch's, else the type with a number.
  std::string name_for(const ForeignNode& node, const std::string& type, std::size_t tensor) {
    std::string name = tensor < node.inputs.size() ? node.inputs[tensor] : "";
    const std::string end = ".weight";
    const bool ours = name.size() > end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
    name = ours ? name.substr(0, name.size() - end.size()) : node.name;
    const bool usable =
        is_name(name) && name != "data" && name != "labels" && name != "loss" && names_.count(name) == 0;
    for (int i = 1; !usable && (i == 1 || names_.count(name) != 0); ++i) name = type + std::to_string(i);
    names_.insert(name);
    return name;
  }

  /// Writes a layer that reads the node's first operand.
  void finish(const ForeignNode& node, Section section, const std::string& name, Value::Form form) {
    section.set("from", value(node, 0).layer);
    made_.ini += section.text();
    values_[node.result] = {name, form};
  }

  void simple(const ForeignNode& node, const std::string& type) {
    const std::string name = name_for(node, type, node.inputs.size());
    finish(node, Section(name, type), name, value(node, 0).form);
  }

  void tensor(const ForeignNode& node, std::size_t operand, const std::string& path, const Shape& wanted) {
    const ForeignConstant* const given = constant(node, operand);
    const auto* floats = given == nullptr ? nullptr : std::get_if<std::vector<float>>(&given->values);
    if (floats == nullptr) refuse(node, concat("computes its operand ", operand, ", expected constants"));
    if (given->shape != wanted)
      refuse(node, concat("has constants ", to_string(given->shape), " as operand ", operand, ", expected ",
                          to_string(wanted)));
    if (!std::all_of(floats->begin(), floats->end(), [](float x) { return std::isfinite(x); }))
      refuse(node, concat("has NaN or an infinity in its operand ", operand));
    made_.tensors[path] = floats;
  }

  const ForeignConstant& weights(const ForeignNode& node, std::size_t rank) const {
    const ForeignConstant* const given = constant(node, 1);
    if (given == nullptr) refuse(node, "computes its weights, expected constants");
    if (given->shape.rank() != rank || given->shape.count() == 0)
      refuse(node, concat("has weights of shape ", to_string(given->shape)));
    return *given;
  }

  void conv(const ForeignNode& node) {
    const Shape shape = weights(node, 4).shape;
    if (value(node, 0).form != Value::Form::kImage) refuse(node, "reads what is no image any more");
    if (shape[2] != shape[3]) refuse(node, "has a filter that is not square");
    if (node.attributes.count("auto_pad") != 0) refuse(node, "pads by itself; export it with pads");
    const std::string name = name_for(node, "conv", 1);
    const bool bias = node.inputs.size() > 2 && !node.inputs[2].empty();
    tensor(node, 1, name + "/weight", shape);
    if (bias) tensor(node, 2, name + "/bias", {shape[0]});
    Section section(name, "conv");
    section.set("channels", shape[0]).set("kernel", shape[2]);
    set_unless(section, "stride", same(node, "strides", 1), 1);
    set_unless(section, "pad", same(node, "pads", 0), 0);
    set_unless(section, "dilation", same(node, "dilations", 1), 1);
    set_unless(section, "groups", whole(node, "group", 1), 1);
    if (bias) section.set("bias", "yes");
    finish(node, section, name, Value::Form::kImage);
  }

  static void set_unless(Section& section, const char* key, std::int64_t value, std::int64_t otherwise) {
    if (value != otherwise) section.set(key, value);
  }

  void batchnorm(const ForeignNode& node) {
    const ForeignConstant& scale = weights(node, 1);
    const std::string name = name_for(node, "bn", 1);
    const char* const tensors[] = {"weight", "bias", "running_mean", "running_var"};
    for (std::size_t i = 0; i < 4; ++i) tensor(node, i + 1, name + "/" + tensors[i], scale.shape);
    Section section(name, "batchnorm");
    const auto eps = attribute<double>(node, "epsilon", 1e-5);
    if (std::abs(eps - 1e-5) > 1e-10) section.set("eps", eps);
    finish(node, section, name, Value::Form::kImage);
  }

  void gemm(const ForeignNode& node) {
    const bool plain = whole(node, "transB", 0) == 1 && whole(node, "transA", 0) == 0 &&
                       attribute<double>(node, "alpha", 1) == 1 && attribute<double>(node, "beta", 1) == 1;
    if (!plain) refuse(node, "transposes or scales otherwise than a linear layer (transB = 1)");
    const Shape shape = weights(node, 2).shape;
    const std::string name = name_for(node, "linear", 1);
    tensor(node, 1, name + "/weight", shape);
    const bool bias = node.inputs.size() > 2 && !node.inputs[2].empty();
    if (bias) tensor(node, 2, name + "/bias", {shape[0]});
    Section section(name, "linear");
    section.set("features", shape[0]);
    if (!bias) section.set("bias", "no");
    finish(node, section, name, Value::Form::kRows);
  }

  void relu(const ForeignNode& node) { simple(node, "relu"); }
  void sigmoid(const ForeignNode& node) { simple(node, "sigmoid"); }
  void hard_swish(const ForeignNode& node) { simple(node, "hard_swish"); }

  void hard_sigmoid(const ForeignNode& node) {
    const bool usual =
        std::abs(attribute<double>(node, "alpha", 0.2) - 1.0 / 6) < 1e-6 && attribute<double>(node, "beta", 0.5) == 0.5;
    if (!usual) refuse(node, "is another one than relu6(x + 3) / 6");
    simple(node, "hard_sigmoid");
  }

  void clip(const ForeignNode& node) {
    const double none = std::numeric_limits<double>::max();
    const double low = number(node, "min", 1, -none), high = number(node, "max", 2, none);
    if (!(low < high) || low <= -none || high >= none) refuse(node, "has no two bounds, one below the other");
    const std::string name = name_for(node, "clip", node.inputs.size());
    finish(node, Section(name, "clip").set("low", low).set("high", high), name, value(node, 0).form);
  }

  void leaky_relu(const ForeignNode& node) {
    const std::string name = name_for(node, "leaky_relu", node.inputs.size());
    finish(node, Section(name, "leaky_relu").set("slope", attribute<double>(node, "alpha", 0.01)), name,
           value(node, 0).form);
  }

  Section pool(const ForeignNode& node, const std::string& name, const char* type) const {
    if (node.attributes.count("auto_pad") != 0) refuse(node, "pads by itself; export it with pads");
    if (node.attributes.count("kernel_shape") == 0) refuse(node, "has no kernel_shape");
    Section section(name, type);
    section.set("kernel", same(node, "kernel_shape", 1)).set("stride", same(node, "strides", 1));
    set_unless(section, "pad", same(node, "pads", 0), 0);
    if (same(node, "dilations", 1) != 1) refuse(node, "has dilations, which pools of ours have not");
    if (whole(node, "ceil_mode", 0) != 0) section.set("ceil_mode", "yes");
    return section;
  }

  void max_pool(const ForeignNode& node) {
    const std::string name = name_for(node, "max_pool", node.inputs.size());
    finish(node, pool(node, name, "max_pool"), name, Value::Form::kImage);
  }

  void average_pool(const ForeignNode& node) {
    const std::string name = name_for(node, "average_pool", node.inputs.size());
    Section section = pool(node, name, "average_pool");
    if (whole(node, "count_include_pad", 0) == 0) section.set("count_include_pad", "no");
    finish(node, section, name, Value::Form::kImage);
  }

  void global_pool(const ForeignNode& node) {
    simple(node, "global_pool");
    values_[node.result].form = Value::Form::kPooled;
  }

  void flatten(const ForeignNode& node) {
    if (whole(node, "axis", 1) != 1) refuse(node, "begins at another axis than 1");
    Value src = value(node, 0);
    if (src.form == Value::Form::kImage)
      simple(node, "flatten");
    else
      values_[node.result] = src;
    values_[node.result].form = Value::Form::kRows;
  }

  void two_sources(const ForeignNode& node, const char* type) {
    const Value a = value(node, 0), b = value(node, 1);
    const std::string name = name_for(node, type, node.inputs.size());
    made_.ini += Section(name, type).set("from", a.layer + ", " + b.layer).text();
    values_[node.result] = {name, a.form};
  }

  void add(const ForeignNode& node) { two_sources(node, "add"); }
  void multiply(const ForeignNode& node) { two_sources(node, "multiply"); }

  void concat_channels(const ForeignNode& node) {
    if (whole(node, "axis", 0) != 1) refuse(node, "joins along another axis than that of the channels (1)");
    std::string from;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) from += (i == 0 ? "" : ", ") + value(node, i).layer;
    const std::string name = name_for(node, "concat", node.inputs.size());
    const Value::Form form = value(node, 0).form;
    made_.ini += Section(name, "concat").set("from", from).text();
    values_[node.result] = {name, form};
  }

  void identity(const ForeignNode& node) { values_[node.result] = Value(value(node, 0)); }

  /// What an export of ours says of its images.
  void add_normalization() {
    const auto mean = model_.metadata.find("mean"), std = model_.metadata.find("std");
    if (mean == model_.metadata.end() || std == model_.metadata.end()) return;
    std::string text = "\n[data]\n";
    for (const auto& [key, found] : {std::pair{"mean", mean}, std::pair{"std", std}}) {
      const nlohmann::json numbers = nlohmann::json::parse(found->second, nullptr, false);
      if (!numbers.is_array()) return;
      std::string list;
      for (const nlohmann::json& number : numbers) {
        if (!number.is_number()) return;
        list += (list.empty() ? "" : ", ") + number.dump();
      }
      text += concat(key, " = ", list, "\n");
    }
    made_.ini += text;
  }

  const ForeignModel& model_;
  ImportedModel made_;
  std::map<std::string, Value> values_;
  std::set<std::string> names_;
};

}  // namespace

ImportedModel import_model(const ForeignModel& model) {
  return Translation(model).run();
}

}  // namespace sluice
