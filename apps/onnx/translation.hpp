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
  std::vector<std::int64_t> dims;   ///< as the model sees it, without the batch and what `pads` add
  std::vector<std::int64_t> image;  ///< of kRowsLast: H, W, C
  bool alone = true;                ///< nobody else reads the layer's result

  // What is left to the convolution or pool that reads the image; for others it becomes a layer (settled).
  Pads pads = {0, 0, 0, 0};                   ///< zeros around it
  bool pads_never_win = false;                ///< not zeros, but what is never the largest number of a window
  std::array<std::int64_t, 2> step = {1, 1};  ///< down and to the right, between the pixels that are taken
  const ForeignNode* by = nullptr;            ///< the operator that said so

  bool is_padded() const { return pads != Pads{0, 0, 0, 0}; }
  bool has_steps() const { return step != std::array<std::int64_t, 2>{1, 1}; }
  bool is_image() const { return form == Form::kImage || form == Form::kLast; }
  std::size_t channel_axis() const;  ///< into dims
  std::int64_t channels() const { return dims[channel_axis()]; }
  /// A constant of this shape says one number for each channel.
  bool is_by_channel(const Shape& shape) const;
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

  Value input_value();
  bool are_images_turned() const;
  void translate(const ForeignNode& node);
  bool fold(const ForeignNode& node);

  // Operands and attributes.
  const Value& any_value(const ForeignNode& node, std::size_t i) const;
  const Value& settled(const ForeignNode& node, std::size_t i);  ///< not padded, without steps
  const Value& value(const ForeignNode& node, std::size_t i);    ///< an image or rows, settled
  const Value& padded_image(const ForeignNode& node);            ///< operand 0, C x H x W, perhaps padded
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
  /// The value with zeros around it.
  Value with_zeros(const ForeignNode& node, Value src, const Pads& pads);

  // Operators that are layers (translate_layers.cpp).
  void conv(const ForeignNode& node);
  void conv_of_rows(const ForeignNode& node);
  void batchnorm(const ForeignNode& node);
  void gemm(const ForeignNode& node);
  void matmul(const ForeignNode& node);
  void product_of_pixels(const ForeignNode& node);
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
  void pool(const ForeignNode& node, const char* type, const Value& src, const Pads& pads, bool count_pad);
  void mean_over_image(const ForeignNode& node, bool keep);
  Pads pads_of(const ForeignNode& node, const Value& src, std::int64_t reach, std::int64_t stride) const;
  bool is_nonnegative(const LayerSource& source) const;

  // Sums and products (translate_arithmetic.cpp).
  void add(const ForeignNode& node);
  void subtract(const ForeignNode& node) { compute_with_constant(node); }
  void multiply(const ForeignNode& node);
  void divide(const ForeignNode& node) { compute_with_constant(node); }
  bool add_bias(const ForeignNode& node);
  bool swish_of(const ForeignNode& node, std::size_t gate);
  bool is_with_constant(const ForeignNode& node) const { return is_value(node, 0) != is_value(node, 1); }
  void compute_with_constant(const ForeignNode& node);
  Affine affine_of(const ForeignNode& node, const Value& src, std::size_t operand) const;
  void apply(const ForeignNode& node, const Value& src, const Affine& affine);
  bool end_hard_sigmoid(const ForeignNode& node, const Value& src, const Affine& affine);
  bool clip_hard_sigmoid(const ForeignNode& node, double low, double high);
  void make_hard_sigmoid(const ForeignNode& node, const Value& src);
  void merge_row_norms();
  /// Of the layer made last, which nobody else reads.
  bool is_last(const Value& src) const {
    return src.alone && src.source.result.empty() && src.source.layer == static_cast<int>(list_.layers.size()) - 1 &&
           src.source.layer >= 0;
  }
  ListedLayer& layer_of(const Value& src) { return list_.layers[static_cast<std::size_t>(src.source.layer)]; }

  // Operators that say how values lie (translate_forms.cpp).
  void flatten(const ForeignNode& node);
  void reshape(const ForeignNode& node);
  void squeeze(const ForeignNode& node);
  void unsqueeze(const ForeignNode& node);
  void transpose(const ForeignNode& node);
  void pad(const ForeignNode& node);
  void pad_channels(const ForeignNode& node, Value src, std::size_t axis, std::int64_t zeros);
  void concatenate(const ForeignNode& node);
  void split(const ForeignNode& node);
  void slice(const ForeignNode& node);
  void take_steps(const ForeignNode& node, std::size_t along, std::int64_t begin, std::int64_t end, std::int64_t step);
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
  std::map<int, const ForeignNode*> row_norms_;  ///< layers that normalise rows, and what made them
};

}  // namespace sluice
