// The interface of a layer: what it declares. What executes it is an operation (core/graph/op.hpp).
//
// A layer's life: the registry makes it from its section, once; its node of the network owns it. `infer` says what it
// needs for given shapes, `make_op` makes the operation of each executor. A layer does not change after it was made, so
// all executors of a network share it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/shape.hpp"
#include "core/graph/attributes.hpp"
#include "core/graph/op.hpp"
#include "core/graph/statistics.hpp"
#include "core/graph/tensor.hpp"

namespace sluice {

/// Initial values of a parameter, drawn from the run's seed, the layer's and the parameter's names.
struct Init {
  enum class Kind { kConstant, kNormal, kUniform, kMeasured };
  Kind kind = Kind::kConstant;
  double value = 0;  ///< the constant, the standard deviation, or the bound of (-bound, bound)
  static Init constant(double value) { return {Kind::kConstant, value}; }
  /// 0 until the first images of a run are there (Op::measure).
  static Init measured() { return {Kind::kMeasured, 0}; }
  static Init normal(double deviation) { return {Kind::kNormal, deviation}; }
  static Init uniform(double bound) { return {Kind::kUniform, bound}; }
  /// Kaiming fan-in with a = 0 (He et al. 2015, eq. 10): normal with variance 2 / fan_in.
  static Init kaiming(std::int64_t fan_in);
};

/// A learned tensor. `group` names what it is ("weights", "bias", "norm", ...): weight decay and learning-rate factors
/// are set by group.
struct ParameterSpec {
  std::string name;
  Shape shape;
  std::string group;
  Init init;
};

/// A persistent tensor that is not learned, such as running statistics.
struct BufferSpec {
  std::string name;
  Shape shape;
  float initial = 0;
  bool measured = false;  ///< evaluation needs what training measures here; 0: nothing was measured yet
};

/// Work of a layer for one image: products of weights and activations of so many bits (32 in floating point). A term
/// with `open` and `total` is done only for the share open / total of those two counts.
struct CostTerm {
  std::int64_t macs = 0;  ///< multiply-adds
  int weight_bits = 32;
  int activation_bits = 32;
  int open = -1;  ///< index of a count, or -1: always done
  int total = -1;
  /// The products of an earlier term again, with further bits of their activations: adds bit operations, but no
  /// multiply-adds.
  bool refines = false;

  std::int64_t bit_operations() const { return macs * weight_bits * activation_bits; }
};

/// A result beside the first one. `from = LAYER:NAME` reads it; `from = LAYER` reads the first.
struct ResultSpec {
  std::string name;
  Shape shape;
  std::optional<DataType> type;  ///< unset: as that of the first result is found
};

/// What a layer reads beside its sources: the program gives it by name (Executor::set_input), or does not. Row-major,
/// N x C x H x W as N x H x W x C.
struct InputSpec {
  std::string name;
  Shape shape;
  DataType type = DataType::kF32;
};

/// The levels that a layer rounds its source to before anything else: round(min(|x| / scale, 1) count), ties to even,
/// with the sign of x. The scale is a number in one of its buffers, 0 until it is known.
struct SourceLevels {
  int buffer = 0;
  int count = 0;  ///< at most kMostInt8Level
};

/// What a layer declares in `infer`; all indices refer to the order of the calls.
struct Declarations {
  Shape dst;                         ///< the shape of the (first) result
  std::optional<DataType> dst_type;  ///< unset: the executor's activation type
  bool like_src = false;             ///< the results have the type of source 0
  std::vector<ResultSpec> more_dst;  ///< further results
  std::vector<InputSpec> inputs;
  std::vector<ParameterSpec> parameters;
  std::vector<BufferSpec> buffers;
  std::vector<CostTerm> costs;
  std::vector<Statistic> counts;   ///< statistics that are exact integers (they add up over batches and processes)
  std::vector<Statistic> sums;     ///< statistics that are sums of doubles
  bool is_loss = false;            ///< the result is one number, added to the training loss
  bool stochastic = false;         ///< needs random numbers in training
  bool is_activation = false;      ///< an element-wise non-linear function
  bool nonnegative = false;        ///< the (first) result holds no number below 0
  bool keeps_nonnegative = false;  ///< ... if no source does
  /// Channel c of the result is made of channel c of the (only) source alone; and is zero where that one is.
  bool by_channel = false, keeps_zeros = false;
  /// Each product that the layer costs takes a channel of the source to a channel of the result: there is none to do
  /// where the first is zero, or where nobody needs the second.
  bool multiplies_channels = false;
  /// Which of the sources holds a number for each channel of source 0, by which it is multiplied; -1: none.
  int channel_factors = -1;
  /// The result, N x C, is zero where a decision closes the channel; the others are counted as Role::kOpen, also by
  /// image (Context::open_by_image).
  bool closes_channels = false;
  /// Inference in fp32: source 0 may come in these levels as well, where it holds no number below 0.
  std::optional<SourceLevels> src_levels;
  /// In inference too an image's result depends on the others of its batch; else this may run in slices.
  bool mixes_images = false;
  bool dst_levels = false;  ///< Inference in fp32: the (first) result may be written in levels of its only reader
  bool wants_activation =
      false;  ///< means something only where an activation follows, behind normalisation or addition

  /// A further result: the index into Context::more_dst. Throws Error(kInternal) where the name is no word of letters,
  /// digits, '_' and '-', or stands there already; so does `input`.
  int result(std::string name, Shape shape, std::optional<DataType> type = std::nullopt);
  int input(std::string name, Shape shape, DataType type = DataType::kF32);
  int parameter(std::string name, Shape shape, std::string group, Init init);
  int buffer(std::string name, Shape shape, float initial);
  int count(std::string name, Role role = Role::kOther);
  int sum(std::string name, Role role = Role::kOther);
};

/// What a layer says of images in int8. A result goes in int8 where all who have to do with it take them, and one of
/// them multiplies int8.
enum class Int8Wish { kNever, kTakes, kMultiplies };

/// One layer of a network.
class Layer {
 public:
  virtual ~Layer();

  /// Pure: source shapes in, declarations out. Throws ShapeError where the sources do not fit. Called again for other
  /// batch sizes.
  virtual void infer(const std::vector<Shape>& src, Declarations& declare) const = 0;
  /// The operation for a request, and what it needs.
  virtual std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const = 0;
  /// What the layer is, for exporters and reports.
  virtual Attributes attributes() const { return {}; }

  /// The layer itself is this operation on source 0 (kAdd: on both sources), so that its producer may do it.
  virtual std::optional<PostOp> as_post_op(Mode) const { return std::nullopt; }
  /// The layer can do `next` after the post-ops it has accepted already.
  virtual bool accepts(const std::vector<PostOp>& /*accepted*/, const PostOp& /*next*/, Mode) const { return false; }
  /// kAffine in inference: the scale and shift, one for each of `channels`, that this layer amounts to. The context has
  /// its parameters and buffers.
  virtual void affine(const Context&, std::int64_t /*channels*/, float* /*scale*/, float* /*shift*/) const {}
  /// Inference in int8: unless kNever, images that the layer reads, what it adds, and its result may each be in int8
  /// (kU8, whole numbers of TensorDesc::scale from 0 to kMostInt8Level) as well as floats. `may_skip`: OpRequest's.
  virtual Int8Wish int8_wish(bool /*may_skip*/) const { return Int8Wish::kNever; }
  /// backward takes several gradients of its (only) result and means their sum; else the executor adds them first.
  virtual bool sums_diff_dst() const { return false; }
};

/// Sources that do not fit a layer; the network adds file, line, section, and type and shapes of the sources in
/// parentheses. `key` is the key to blame, or "".
class ShapeError : public std::exception {
 public:
  ShapeError(std::string key, std::string text) : key_(std::move(key)), text_(std::move(text)) {}
  const std::string& key() const { return key_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string key_;
  std::string text_;
};

}  // namespace sluice
