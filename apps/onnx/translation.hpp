// Translates the operators of a model one after the other. For apps/onnx/translat*.cpp alone.
#pragma once

#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "apps/onnx/fold_constants.hpp"
#include "apps/onnx/layer_list.hpp"
#include "core/base/error.hpp"
#include "core/base/printable.hpp"

namespace sluice {

/// Of an image: top, left, bottom, right.
using Pads = std::array<std::int64_t, 4>;

/// What has become of a value of the model.
struct Value {
  enum class Form {
    kImage,     ///< dims C, H, W
    kLast,      ///< an image whose channels stand last: dims H, W, C
    kRows,      ///< a row of numbers for each image: dims K, or K among ones
    kRowsLast,  ///< an image H x W x C as one row, which our layer has in the order of C x H x W
    kGroups,    ///< an image with dims G, C / G, H, W
    kTurned     ///< the same turned: C / G, G, H, W
  };
  LayerSource source;
  Form form = Form::kImage;
  std::vector<std::int64_t> dims;   ///< as the model sees it, without the batch
  std::vector<std::int64_t> image;  ///< of kRowsLast: H, W, C
  Pads pads = {0, 0, 0, 0};         ///< zeros around the image that a Pad has put there, for who reads it
  bool alone = true;                ///< nobody else reads the layer's result

  bool is_padded() const { return pads != Pads{0, 0, 0, 0}; }
  std::size_t channel_axis() const;  ///< into dims
  std::int64_t channels() const { return dims[channel_axis()]; }
};

class Translation {
 public:
  explicit Translation(const ForeignModel& model);
  LayerList run();

 private:
  using Ints = std::vector<std::int64_t>;
  using Translator = void (Translation::*)(const ForeignNode&);
  static const std::map<std::string, Translator>& translators();

  [[noreturn]] void refuse(const std::string& text) const {
    throw Error(ExitCode::kCheckpoint, model_.file + ": " + text);
  }
  [[noreturn]] void refuse(const ForeignNode& node, const std::string& why) const {
    refuse(concat("'", printable(node.name), "': operator ", printable(node.op), " ", why));
  }
  /// Runs `work`, whose errors give the reason alone.
  template <class Work>
  auto named(const ForeignNode& node, Work&& work) const {
    try {
      return work();
    } catch (const Error& error) {
      refuse(node, error.what());
    }
  }

  Value input_value() const;
  bool is_turned_at_once(const std::string& value, int patience) const;
  void translate(const ForeignNode& node);
  bool fold(const ForeignNode& node);

  // Operands and attributes.
  const Value& any_value(const ForeignNode& node, std::size_t i) const;
  const Value& value(const ForeignNode& node, std::size_t i) const;  ///< an image or rows, not padded
  const Value& image(const ForeignNode& node) const;                 ///< operand 0, C x H x W
  bool is_value(const ForeignNode& node, std::size_t i) const;
  const ForeignConstant* constant(const ForeignNode& node, std::size_t i) const;
  std::optional<Ints> list(const ForeignNode& node, const char* name, std::size_t operand) const;
  double number(const ForeignNode& node, const char* name, std::size_t operand, double otherwise) const;
  std::int64_t same(const ForeignNode& node, const char* name, std::int64_t otherwise) const;
  template <class T>
  T attribute(const ForeignNode& node, const char* name, T otherwise) const {
    const auto found = node.attributes.find(name);
    if (found == node.attributes.end()) return otherwise;
    const T* const given = std::get_if<T>(&found->second);
    if (given == nullptr) refuse(node, concat("has another kind of ", name, " than it should"));
    return *given;
  }
  std::int64_t whole(const ForeignNode& node, const char* name, std::int64_t otherwise) const {
    return attribute<std::int64_t>(node, name, otherwise);
  }
  const ForeignConstant& weights(const ForeignNode& node, std::size_t rank) const;
  Floats tensor(const ForeignNode& node, std::size_t operand, const Shape& shape) const;
  bool has_operand(const ForeignNode& node, std::size_t i) const {
    return i < node.inputs.size() && !node.inputs[i].empty();
  }

  // Layers and values.
  ListedLayer layer(const ForeignNode& node, const char* type, std::vector<LayerSource> src) const;
  /// Adds a layer and makes the node's first result the value of this form.
  void finish(const ForeignNode& node, ListedLayer layer, Value::Form form, Ints dims);
  LayerSource add(const ForeignNode& node, ListedLayer layer, const Ints& dims);
  void become(const ForeignNode& node, Value value);
  void simple(const ForeignNode& node, const char* type);

  // Operators that are layers (translate_layers.cpp).
  void conv(const ForeignNode& node);
  void conv_of_rows(const ForeignNode& node);
  void batchnorm(const ForeignNode& node);
  void gemm(const ForeignNode& node);
  void matmul(const ForeignNode& node);
  void linear(const ForeignNode& node, const Value& src, bool transposed, Floats bias);
  void relu(const ForeignNode& node) { simple(node, "relu"); }
  void sigmoid(const ForeignNode& node) { simple(node, "sigmoid"); }
  void hard_swish(const ForeignNode& node) { simple(node, "hard_swish"); }
  void hard_sigmoid(const ForeignNode& node);
  void swish(const ForeignNode& node);
  void clip(const ForeignNode& node);
  void leaky_relu(const ForeignNode& node);
  void max_pool(const ForeignNode& node);
  void average_pool(const ForeignNode& node);
  void global_pool(const ForeignNode& node);
  void reduce_mean(const ForeignNode& node);
  void add(const ForeignNode& node);
  void multiply(const ForeignNode& node);
  bool add_bias(const ForeignNode& node);
  bool swish_of(const ForeignNode& node, std::size_t gate);
  void pool(const ForeignNode& node, const char* type, const Value& src, const Pads& pads, bool count_pad);
  void mean_over_image(const ForeignNode& node, bool keep);
  Pads pads_of(const ForeignNode& node, const Value& src, std::int64_t reach, std::int64_t stride) const;
  bool is_nonnegative(const LayerSource& source) const;

  // Operators that say how values lie (translate_forms.cpp).
  void flatten(const ForeignNode& node);
  void reshape(const ForeignNode& node);
  void squeeze(const ForeignNode& node);
  void unsqueeze(const ForeignNode& node);
  void transpose(const ForeignNode& node);
  void pad(const ForeignNode& node);
  void concatenate(const ForeignNode& node);
  void split(const ForeignNode& node);
  void slice(const ForeignNode& node);
  void cast(const ForeignNode& node);
  void softmax(const ForeignNode& node);
  void identity(const ForeignNode& node) { become(node, any_value(node, 0)); }
  void shape(const ForeignNode& node);
  void change_dims(const ForeignNode& node, const Ints& dims);
  void flatten_image(const ForeignNode& node, const Value& src);
  void part(const ForeignNode& node, const std::string& result, const Value& src, std::int64_t parts,
            std::int64_t index);
  std::size_t axis(const ForeignNode& node, std::int64_t axis, std::size_t rank) const;

  const ForeignModel& model_;
  LayerList list_;
  ConstantFolder folder_;
  std::map<std::string, ForeignConstant> constants_;
  std::map<std::string, Value> values_;
  std::map<std::string, std::vector<const ForeignNode*>> readers_;  ///< of values; null: who wants the answer
  std::map<std::vector<LayerSource>, LayerSource> concats_;
  std::map<std::pair<LayerSource, std::int64_t>, LayerSource> splits_;
};

}  // namespace sluice
