// What all translators of operators share: operands, attributes, values.
#include <algorithm>
#include <cmath>
#include <set>

#include "apps/onnx/translation.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostValues = std::int64_t{1} << 40;

std::int64_t numbers_in(const ForeignModel& model) {
  std::int64_t count = 0;
  for (const auto& [name, constant] : model.constants) count += constant.shape.count();
  return count;
}

}  // namespace

bool Value::is_by_channel(const Shape& shape) const {
  std::vector<std::int64_t> wanted(dims.size(), 1), given = shape.dims();
  wanted[channel_axis()] = channels();
  while (given.size() > wanted.size() && given.front() == 1) given.erase(given.begin());
  if (given.size() < wanted.size()) given.insert(given.begin(), wanted.size() - given.size(), 1);
  return given == wanted;
}

std::size_t Value::channel_axis() const {
  if (form == Form::kLast) return 2;
  if (form != Form::kRows) return 0;
  const auto found = std::find_if(dims.begin(), dims.end(), [](std::int64_t dim) { return dim != 1; });
  return found == dims.end() ? 0 : static_cast<std::size_t>(found - dims.begin());
}

Translation::Translation(const ForeignModel& model)
    : model_(model), folder_(numbers_in(model)), constants_(model.constants) {
  for (const ForeignNode& node : model.nodes) {
    for (const std::string& input : node.inputs) readers_[input].push_back(&node);
  }
  readers_[model.answer].push_back(nullptr);
}

LayerList Translation::run() {
  const Value input = input_value();
  const bool last = input.form == Value::Form::kLast;
  list_.image = last ? Shape{input.dims[2], input.dims[0], input.dims[1]} : model_.image;
  values_[model_.input] = input;
  for (const ForeignNode& node : model_.nodes) {
    if (!fold(node)) translate(node);
  }
  const auto answer = values_.find(model_.answer);
  if (answer == values_.end()) refuse("the answer does not depend on the images");
  if (answer->second.form != Value::Form::kRows) refuse("the answer is an image, expected a number for each class");
  list_.answer = answer->second.source;
  merge_row_norms();
  return std::move(list_);
}

/// All who read them turn them to N x C x H x W, or look at them in passing before.
bool Translation::are_images_turned() const {
  static const std::set<std::string> kPassing = {"Add", "Cast", "Div", "Identity", "Mul", "Pad", "Sub"};
  std::set<std::string> seen = {model_.input};
  std::vector<std::string> open = {model_.input};
  bool found = false;
  while (!open.empty()) {
    const auto readers = readers_.find(open.back());
    open.pop_back();
    if (readers == readers_.end()) continue;
    for (const ForeignNode* node : readers->second) {
      const bool turns =
          node != nullptr && node->op == "Transpose" && attribute<Ints>(*node, "perm", {}) == Ints{0, 3, 1, 2};
      if (!turns && (node == nullptr || kPassing.count(node->op) == 0)) return false;
      if (!turns && seen.insert(node->results[0]).second) open.push_back(node->results[0]);
      found = found || turns;
    }
  }
  return found;
}

Value Translation::input_value() {
  return {{},
          are_images_turned() ? Value::Form::kLast : Value::Form::kImage,
          model_.image.dims(),
          {},
          readers_[model_.input].size() == 1};
}

void Translation::translate(const ForeignNode& node) {
  const auto found = translators().find(node.op);
  if (found == translators().end()) {
    if (model_.metadata.count("sluice.config_digest") == 0)
      refuse(node, "has no layer; docs/import.md lists those that have");
    refuse(concat("was written by sluice-export, of a network whose gates or quantised layers are operators here ('",
                  printable(node.name), "': ", printable(node.op),
                  "); use the checkpoint that it was made of, or import the weights of that (sluice-export "
                  "CHECKPOINT.h5 -o WEIGHTS.h5) into a configuration"));
  }
  (this->*found->second)(node);
}

/// What has constants alone is computed.
bool Translation::fold(const ForeignNode& node) {
  std::vector<const ForeignConstant*> inputs;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (is_value(node, i)) return false;
    inputs.push_back(constant(node, i));
  }
  std::optional<ForeignConstant> result = named(node, [&] { return folder_.fold(node, inputs); });
  if (!result) return false;
  constants_[node.results[0]] = std::move(*result);
  return true;
}

const Value& Translation::any_value(const ForeignNode& node, std::size_t i) const {
  const auto found = i < node.inputs.size() ? values_.find(node.inputs[i]) : values_.end();
  if (found != values_.end()) return found->second;
  if (constant(node, i) != nullptr) refuse(node, concat("computes with a constant as operand ", i));
  if (!has_operand(node, i)) refuse(node, concat("lacks its operand ", i));
  refuse(node, concat("reads '", printable(node.inputs[i]), "', a result that is not understood"));
}

const Value& Translation::settled(const ForeignNode& node, std::size_t i) {
  const Value& given = any_value(node, i);
  if (!given.is_padded() && !given.has_steps()) return given;
  Value& found = values_[node.inputs[i]];
  const Value src = found;
  if (src.pads_never_win) refuse(node, "reads an image with other numbers than zeros around it; max pools alone do");
  if (src.is_padded()) {
    found = with_zeros(node, src, src.pads);
  } else {
    if (src.step[0] != src.step[1]) refuse(node, "reads pixels with steps that differ by direction");
    ListedLayer made = layer(*src.by, "max_pool", {src.source});
    made.set("kernel", 1);
    made.set("stride", src.step[0]);
    found = {add(*src.by, std::move(made), src.dims), src.form, src.dims, {}};
  }
  found.alone = readers_[node.inputs[i]].size() == 1;
  return found;
}

Value Translation::with_zeros(const ForeignNode& node, Value src, const Pads& pads) {
  constexpr std::int64_t kMost = 65536;
  const std::int64_t most = *std::max_element(pads.begin(), pads.end());
  if (most > kMost) refuse(node, concat("pads ", most, " pixels on one side, expected up to ", kMost));
  ListedLayer made = layer(src.by != nullptr ? *src.by : node, "zero_pad", {src.source});
  if (src.by == nullptr) made.name += "_pad";
  const char* const sides[] = {"top", "left", "bottom", "right"};
  for (std::size_t side = 0; side < 4; ++side) made.set(sides[side], pads[side], 0);
  const std::size_t row = src.form == Value::Form::kLast ? 0 : 1;
  for (std::size_t axis = 0; axis < 2; ++axis) src.dims[row + axis] += pads[axis] + pads[axis + 2];
  return {add(node, std::move(made), src.dims), src.form, src.dims, {}};
}

const Value& Translation::value(const ForeignNode& node, std::size_t i) {
  const Value& found = settled(node, i);
  if (found.form == Value::Form::kGroups || found.form == Value::Form::kTurned)
    refuse(node, "reads an image whose channels stand in groups");
  return found;
}

const Value& Translation::padded_image(const ForeignNode& node) {
  const Value& found = any_value(node, 0).has_steps() ? settled(node, 0) : any_value(node, 0);
  if (found.form == Value::Form::kLast) refuse(node, "reads an image whose channels stand last");
  if (found.form != Value::Form::kImage) refuse(node, "reads what is no image any more");
  return found;
}

bool Translation::is_value(const ForeignNode& node, std::size_t i) const {
  return i < node.inputs.size() && values_.count(node.inputs[i]) != 0;
}

const ForeignConstant* Translation::constant(const ForeignNode& node, std::size_t i) const {
  const auto found = i < node.inputs.size() ? constants_.find(node.inputs[i]) : constants_.end();
  return found == constants_.end() ? nullptr : &found->second;
}

std::optional<std::vector<std::int64_t>> Translation::list(const ForeignNode& node, const char* name,
                                                           std::size_t operand) const {
  if (node.attributes.count(name) != 0) return attribute<Ints>(node, name, {});
  if (!has_operand(node, operand)) return std::nullopt;
  const ForeignConstant* const given = constant(node, operand);
  if (given == nullptr || given->wholes() == nullptr)
    refuse(node, concat("computes its ", name, ", expected constants"));
  return *given->wholes();
}

/// A bound or a factor: an attribute, or an operand that is a constant.
double Translation::number(const ForeignNode& node, const char* name, std::size_t operand, double otherwise) const {
  const ForeignConstant* const given = constant(node, operand);
  if (given == nullptr) {
    if (has_operand(node, operand)) refuse(node, concat("computes its ", name, ", expected a constant"));
    return attribute<double>(node, name, otherwise);
  }
  if (given->floats() == nullptr || given->floats()->size() != 1) refuse(node, concat("has no number for ", name));
  return static_cast<double>(given->floats()->front());
}

/// One number for both directions.
std::int64_t Translation::same(const ForeignNode& node, const char* name, std::int64_t otherwise) const {
  const Ints items = attribute<Ints>(node, name, {otherwise});
  for (std::int64_t item : items) {
    if (item != items[0]) refuse(node, concat("has ", name, " that differ by direction; layers have one number"));
  }
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  const std::int64_t item = items.empty() ? otherwise : items[0];
  if (item < 0 || item > kMost) refuse(node, concat("has ", name, " of ", item, ", expected 0 to ", kMost));
  return item;
}

const ForeignConstant& Translation::weights(const ForeignNode& node, std::size_t rank) const {
  const ForeignConstant* const given = constant(node, 1);
  if (given == nullptr) refuse(node, "computes its weights, expected constants");
  if (given->shape.rank() != rank || given->shape.count() == 0)
    refuse(node, concat("has weights of shape ", to_string(given->shape)));
  return *given;
}

Floats Translation::tensor(const ForeignNode& node, std::size_t operand, const Shape& shape) const {
  const ForeignConstant* const given = constant(node, operand);
  Floats floats = given == nullptr ? nullptr : given->floats();
  if (floats == nullptr) refuse(node, concat("computes its operand ", operand, ", expected constants"));
  if (given->shape != shape)
    refuse(node,
           concat("has constants ", to_string(given->shape), " as operand ", operand, ", expected ", to_string(shape)));
  if (!std::all_of(floats->begin(), floats->end(), [](float x) { return std::isfinite(x); }))
    refuse(node, concat("has NaN or an infinity in its operand ", operand));
  return floats;
}

/// Named after its weights where they have PyTorch's names.
ListedLayer Translation::layer(const ForeignNode& node, const char* type, std::vector<LayerSource> src) const {
  ListedLayer made;
  made.type = type;
  made.src = std::move(src);
  made.name = node.module;
  const std::string end = ".weight";
  for (const std::string& input : node.inputs) {
    const bool named = input.size() > end.size() && ends_with(input, end);
    if (named && constants_.count(input) != 0) made.name = input.substr(0, input.size() - end.size());
  }
  return made;
}

LayerSource Translation::add(const ForeignNode& node, ListedLayer layer, const Ints& dims) {
  std::int64_t count = 1;
  for (std::int64_t dim : dims) {
    if (dim < 1 || count > kMostValues / dim) refuse(node, concat("makes values of shape ", to_string(Shape(dims))));
    count *= dim;
  }
  list_.layers.push_back(std::move(layer));
  return {static_cast<int>(list_.layers.size()) - 1, ""};
}

void Translation::finish(const ForeignNode& node, ListedLayer layer, Value::Form form, Ints dims) {
  const LayerSource source = add(node, std::move(layer), dims);
  become(node, {source, form, std::move(dims), {}});
}

void Translation::become(const ForeignNode& node, Value value) {
  const auto found = readers_.find(node.results[0]);
  value.alone = value.alone && found != readers_.end() && found->second.size() == 1;
  values_[node.results[0]] = std::move(value);
}

/// A layer that changes no shape.
void Translation::simple(const ForeignNode& node, const char* type) {
  Value made = value(node, 0);
  made.source = add(node, layer(node, type, {made.source}), made.dims);
  made.alone = true;
  become(node, made);
}

const std::map<std::string, Translation::Translator>& Translation::translators() {
  static const std::map<std::string, Translator> table = {{"Add", &Translation::add},
                                                          {"AveragePool", &Translation::average_pool},
                                                          {"BatchNormalization", &Translation::batchnorm},
                                                          {"Cast", &Translation::cast},
                                                          {"Clip", &Translation::clip},
                                                          {"Concat", &Translation::concatenate},
                                                          {"Conv", &Translation::conv},
                                                          {"Div", &Translation::divide},
                                                          {"Dropout", &Translation::identity},
                                                          {"Flatten", &Translation::flatten},
                                                          {"Gemm", &Translation::gemm},
                                                          {"GlobalAveragePool", &Translation::global_pool},
                                                          {"HardSigmoid", &Translation::hard_sigmoid},
                                                          {"HardSwish", &Translation::hard_swish},
                                                          {"Identity", &Translation::identity},
                                                          {"LeakyRelu", &Translation::leaky_relu},
                                                          {"LogSoftmax", &Translation::softmax},
                                                          {"MatMul", &Translation::matmul},
                                                          {"MaxPool", &Translation::max_pool},
                                                          {"Mul", &Translation::multiply},
                                                          {"Pad", &Translation::pad},
                                                          {"ReduceMean", &Translation::reduce_mean},
                                                          {"Relu", &Translation::relu},
                                                          {"Reshape", &Translation::reshape},
                                                          {"Shape", &Translation::shape},
                                                          {"Sigmoid", &Translation::sigmoid},
                                                          {"Slice", &Translation::slice},
                                                          {"Softmax", &Translation::softmax},
                                                          {"Split", &Translation::split},
                                                          {"Squeeze", &Translation::squeeze},
                                                          {"Sub", &Translation::subtract},
                                                          {"Swish", &Translation::swish},
                                                          {"Transpose", &Translation::transpose},
                                                          {"Unsqueeze", &Translation::unsqueeze}};
  return table;
}

LayerList translate_model(const ForeignModel& model) {
  return Translation(model).run();
}

}  // namespace sluice
