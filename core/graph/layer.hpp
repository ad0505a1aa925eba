// The interface of a layer, and the contract between layers and the executor that runs them.
//
// A layer's life: the registry makes it from its section; `infer` says what it needs for given shapes; an executor
// calls `setup` once, when layouts, types and fusions are settled; then `refresh`, `forward` and `backward` run in
// every step. Each executor makes its own layers, so a layer may keep oneDNN primitives as members; everything else it
// works on belongs to the network or the executor.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/shape.hpp"
#include "core/graph/tensor.hpp"

namespace sluice {

/// Training keeps what backward needs; inference plans memory tightly, folds batch normalisation and never writes
/// buffers.
enum class Mode { kTraining, kInference };

/// Initial values of a parameter, drawn from the run's seed, the layer's and the parameter's names.
struct Init {
  enum class Kind { kConstant, kNormal, kUniform };
  Kind kind = Kind::kConstant;
  double value = 0;  ///< the constant, the standard deviation, or the bound of (-bound, bound)
  static Init constant(double value) { return {Kind::kConstant, value}; }
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

/// What a layer declares in `infer`; all indices refer to the order of the calls.
struct Declarations {
  Shape dst;                         ///< the shape of the result
  std::optional<DataType> dst_type;  ///< unset: the executor's activation type
  bool like_src = false;             ///< the result has the type of source 0
  std::vector<ParameterSpec> parameters;
  std::vector<BufferSpec> buffers;
  std::vector<CostTerm> costs;
  std::vector<std::string> counts;  ///< statistics that are exact integers (they add up over batches and processes)
  std::vector<std::string> sums;    ///< statistics that are sums of doubles
  bool is_loss = false;             ///< the result is one number, added to the training loss
  bool takes_soft_targets = false;  ///< a loss over logits N x K that reads Context::soft_targets
  bool stochastic = false;          ///< needs random numbers in training
  bool is_activation = false;       ///< an element-wise non-linear function
  bool nonnegative = false;         ///< the result holds no number below 0
  bool keeps_nonnegative = false;   ///< ... if no source does
  bool wants_activation =
      false;  ///< means something only where an activation follows, behind normalisation or addition

  int parameter(std::string name, Shape shape, std::string group, Init init);
  int buffer(std::string name, Shape shape, float initial);
  int count(std::string name);
  int sum(std::string name);
};

/// An operation that a neighbouring layer may do on the way out instead of a layer of its own.
struct PostOp {
  enum class Kind {
    kAffine,  ///< y = scale[c] * x + shift[c] (folded batch normalisation, inference only)
    kAdd,     ///< y = x + another activation of the same shape
    kClip     ///< y = min(max(x, low), high)
  };
  Kind kind = Kind::kClip;
  float low = 0;
  float high = 0;
};

/// Steps that an activation in bytes has: the largest level. (Seven bits: where a processor adds pairs of products with
/// signed bytes in 16 bits, none is cut off.)
constexpr int kMostByteLevel = 127;

/// What a layer says of images in bytes. A result goes in bytes where all who have to do with it take them, and one of
/// them multiplies bytes.
enum class ByteWish { kNever, kTakes, kMultiplies };

/// What `setup` learns and asks for.
class Setup {
 public:
  Mode mode = Mode::kInference;
  std::vector<TensorDesc> src;        ///< the layer's own sources
  TensorDesc dst;                     ///< after all post-ops
  TensorDesc addend;                  ///< of a kAdd
  std::vector<bool> needs_diff_src;   ///< by source; in training only
  std::vector<bool> src_nonnegative;  ///< by source: it holds no number below 0
  /// Inference in bytes: the largest number that source 0 is expected to hold, as measured; 0: bytes are not wanted, or
  /// nothing was measured.
  double src_range = 0;
  std::vector<PostOp> post_ops;  ///< accepted earlier, in order of application; at most one kAdd
  std::int64_t batch = 0;
  bool allow_winograd = true;
  /// Inference: the layer may leave out work whose outcome its result does not need, instead of doing it all and
  /// selecting.
  bool may_skip = true;
  /// Inference: a layer that decides which of its outputs it computes in full keeps its decisions: floats like the
  /// result, 1 for such an output and 0 for the others, in kept memory whose index goes to `decisions`.
  bool record_decisions = false;
  std::optional<int> decisions;

  /// backward reads the sources, or the result (after post-ops); else their memory may be reused after the last forward
  /// that reads it.
  bool backward_uses_src = false;
  bool backward_uses_dst = false;

  /// Memory that lives from forward to the same step's backward. Returns its index for Context::saved.
  int request_saved(std::int64_t bytes);
  /// Memory of one call of refresh, forward or backward, shared by all layers.
  void request_scratch(std::int64_t bytes);
  /// Memory that lives as long as the executor (reordered weights). Returns its index for Context::kept.
  int request_kept(std::int64_t bytes);
  /// The result may be written over the kAdd operand, which has its type: the executor then passes the same memory for
  /// both where it can, or copies first.
  bool dst_starts_as_addend = false;
  /// The result may be written over source 0, element by element: the executor passes the same memory for both where
  /// nobody reads that source later and both have the same size in bytes.
  bool dst_may_overwrite_src = false;
  /// The kernel that will run, for `--dry-run`: oneDNN's implementation names or our own.
  std::string kernel = "sluice";
  /// Ways to the same result up to rounding (in bytes too, where src_range allows it), which a plan may choose from by
  /// their speed (Context::alternative);
  /// empty: there is one way. `alternative` is the layer's own choice.
  std::vector<std::string> alternatives;
  int alternative = 0;

  std::vector<std::int64_t> saved_bytes;
  std::vector<std::int64_t> kept_bytes;
  std::int64_t scratch_bytes = 0;
};

/// Whether a kernel (Setup::kernel, or one of the names in it) is oneDNN's reference code, which is hundreds of times
/// slower than the others.
bool is_reference_kernel(const std::string& kernel);

/// What another network answers for the same images, for a loss to pull its source towards (Hinton et al. 2015, sec.
/// 2): loss = (1 - weight) * CE + weight * T^2 * KL(softmax(logits / T) || softmax(source / T)), means over the batch.
struct SoftTargets {
  const float* logits = nullptr;  ///< N x K
  double weight = 0;              ///< 0 to 1
  double temperature = 1;         ///< T, above 0
  double divergence = 0;          ///< forward of the loss sets it: T^2 * KL
};

/// What forward, backward and refresh work on.
struct Context {
  std::vector<Tensor> src;
  Tensor dst;
  Tensor addend;                   ///< the kAdd operand
  std::vector<Tensor> diff_src;    ///< data is null where nobody needs it; backward overwrites
  std::vector<Tensor> diff_dst;    ///< one tensor, or several whose sum is meant if the layer said sums_diff_dst()
  Tensor diff_addend;              ///< backward overwrites it when its data is not null
  std::vector<float*> param;       ///< row-major, logical shape, fp32
  std::vector<float*> diff_param;  ///< backward adds
  std::vector<float*> buffer;      ///< only forward in training may write
  std::vector<void*> saved;
  std::vector<void*> kept;
  void* scratch = nullptr;
  std::int64_t* counts = nullptr;       ///< forward adds
  double* sums = nullptr;               ///< forward adds
  SoftTargets* soft_targets = nullptr;  ///< of a loss that takes them; null when there are none
  std::uint64_t seed = 0;               ///< with step and layer_index, addresses the random numbers of this call
  std::uint64_t step = 0;
  std::uint32_t layer_index = 0;  ///< of the layer's node in the network, whatever is fused
  int alternative = 0;            ///< index into Setup::alternatives
  /// Inference: scale and shift of every kAffine post-op put together, for each channel; null when there is none.
  const float* affine_scale = nullptr;
  const float* affine_shift = nullptr;
};

/// One layer of a network. Contract: forward is repeatable (same sources, mode and step give the same bits); backward
/// overwrites diff_src and adds to diff_param, which the executor zeroes once a step; only training may touch buffers;
/// nothing allocates after setup.
class Layer {
 public:
  virtual ~Layer();

  /// Pure: source shapes in, declarations out. Throws ShapeError where the sources do not fit. Called again for other
  /// batch sizes.
  virtual void infer(const std::vector<Shape>& src, Declarations& declare) = 0;

  /// The layer itself is this operation on source 0 (kAdd: on both sources), so that its producer may do it.
  virtual std::optional<PostOp> as_post_op(Mode) const { return std::nullopt; }
  /// The layer can do `next` after the post-ops it has accepted already.
  virtual bool accepts(const std::vector<PostOp>& /*accepted*/, const PostOp& /*next*/, Mode) const { return false; }
  /// Inference in bytes: unless kNever, images that the layer reads, what it adds, and its result may each be in bytes
  /// (kU8, whole numbers of TensorDesc::step from 0 to kMostByteLevel) as well as floats. `may_skip`: Setup's.
  virtual ByteWish byte_wish(bool /*may_skip*/) const { return ByteWish::kNever; }
  /// backward takes several gradients of its result and means their sum; else the executor adds them first.
  virtual bool sums_diff_dst() const { return false; }

  virtual void setup(Setup&) {}
  /// Parameters have changed: reorder, fold, quantise. Runs before forward, once for each change.
  virtual void refresh(Context&) {}
  virtual void forward(Context&) = 0;
  virtual void backward(Context&) = 0;
  /// kAffine in inference: the scale and shift (one for each channel) that this layer amounts to.
  virtual void affine(const Context&, float* /*scale*/, float* /*shift*/) const {}
};

/// Sources that do not fit a layer; the network adds file, line and section. `key` is the key to blame, or "".
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
