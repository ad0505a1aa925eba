// The operation that executes a layer in one executor: what it is made for, what it needs, and what its calls work on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bfloat16.hpp"
#include "core/graph/slots.hpp"
#include "core/graph/tensor.hpp"

namespace sluice {

struct BatchShare;

/// Training keeps what backward needs; inference plans memory tightly, folds batch normalisation and never writes
/// buffers.
enum class Mode { kTraining, kInference };

/// An operation that a neighbouring layer may do on the way out instead of a layer of its own.
struct PostOp {
  enum class Kind {
    kAffine,  ///< y = scale[c] * x + shift[c] (folded batch normalisation, inference only)
    kAdd,     ///< y = x + another activation of the same shape
    kClip,    ///< y = min(max(x, low), high)
    kBound    ///< y = min(max(x, 0), parameter 0 of the layer), which may change (inference only)
  };
  Kind kind = Kind::kClip;
  float low = 0;
  float high = 0;
};

/// The largest level of an activation in int8. (Seven bits: where a processor adds pairs of products with int8 weights
/// in 16 bits, none is cut off.)
constexpr int kMostInt8Level = 127;

/// What an operation is made for. It takes what it wants of this: the request does not outlive its making.
struct OpRequest {
  Mode mode = Mode::kInference;
  std::int64_t batch = 0;
  std::vector<TensorDesc> src;        ///< the layer's own sources
  TensorDesc dst;                     ///< after all post-ops
  std::vector<TensorDesc> more_dst;   ///< of further results (Declarations::more_dst)
  TensorDesc addend;                  ///< of a kAdd
  std::vector<PostOp> post_ops;       ///< that the layer accepted, in order of application; at most one kAdd
  std::vector<bool> needs_diff_src;   ///< by source; in training only
  std::vector<bool> src_nonnegative;  ///< by source: it holds no number below 0
  /// Inference in int8: the largest number that source 0 is expected to hold, as measured; 0: int8 is not wanted, or
  /// nothing was measured.
  double src_range = 0;
  /// Inference: above 0, the result is wanted in so many levels of the layer that reads it (kU8), by Context::dst_scale
  /// and as that layer would round it, and 255 for what is no number; of a layer that declares dst_levels. A source in
  /// kU8 is in the layer's own levels, if it declares them (Declarations::src_levels).
  int dst_levels = 0;
  bool allow_winograd = true;
  /// Inference: the operation may leave out work whose outcome its result does not need, instead of doing it all and
  /// selecting.
  bool may_skip = true;
  /// Inference: an operation that decides which of its outputs it computes in full keeps its decisions
  /// (OpNeeds::decisions).
  bool record_decisions = false;
  /// Inference: the one of OpNeeds::alternatives that will run, or "". An operation need not make the others then, and
  /// names none where it has one way alone.
  std::string way;

  bool training() const { return mode == Mode::kTraining; }
  bool has(PostOp::Kind kind) const;
};

/// What an operation asks for when it is made.
struct OpNeeds {
  SlotBook slots;
  /// backward reads the sources, or the result (after post-ops); else their memory may be reused after the last forward
  /// that reads it.
  bool backward_uses_src = false;
  bool backward_uses_dst = false;
  /// The result may be written over the kAdd operand, which has its type: the executor then passes the same memory for
  /// both where it can, or copies first.
  bool dst_starts_as_addend = false;
  /// The result may be written over source 0, element by element: the executor passes the same memory for both where
  /// nobody reads that source later and both have the same size in bytes.
  bool dst_may_overwrite_src = false;
  /// Inference: parameters (indices into Context::param) that refresh alone reads. Calls may find null for them then,
  /// once refresh has run.
  std::vector<int> packed_params;
  /// The kernel that will run, for `--dry-run`: oneDNN's implementation names or our own.
  std::string kernel = "sluice";
  /// Ways to the same result up to rounding (in int8 too, where src_range allows it), which may be chosen from by
  /// their speed (Context::alternative); empty: there is one way. `alternative` is the operation's own choice.
  std::vector<std::string> alternatives;
  int alternative = 0;
  /// Kept floats like the result: 1 for an output that was computed in full, 0 for the others.
  std::optional<Slot<float>> decisions;
};

/// What forward, backward and refresh work on.
struct Context {
  std::vector<Tensor> src;
  std::vector<Tensor> inputs;  ///< as declared (Declarations::input); data is null where nobody gave one
  Tensor dst;
  std::vector<Tensor> more_dst;  ///< further results, as declared
  Tensor addend;                 ///< the kAdd operand
  std::vector<Tensor> diff_src;  ///< data is null where nobody needs it; backward overwrites
  /// One tensor, or several whose sum is meant if the layer said sums_diff_dst(). Of a layer with several results data
  /// is null, here and in more_diff_dst, where no gradient reaches that result; it reaches one of them.
  std::vector<Tensor> diff_dst;
  std::vector<Tensor> more_diff_dst;  ///< one for each of more_dst
  Tensor diff_addend;                 ///< backward overwrites it when its data is not null
  std::vector<float*> param;          ///< row-major, logical shape, fp32
  std::vector<float*> diff_param;     ///< backward adds
  std::vector<float*> buffer;         ///< only forward in training may write
  Memory memory;                      ///< of the operation's slots
  std::int64_t* counts = nullptr;     ///< forward adds
  double* sums = nullptr;             ///< forward adds
  /// forward writes how many of its outputs are open, of each image (Role::kOpen); null where nobody asks.
  std::int64_t* open_by_image = nullptr;
  /// By image, what the loss grows by where backward opens one more output, beside what diff_dst says: of an auxiliary
  /// loss that depends on counts of Role::kOpen. Null where there is none.
  const float* diff_open = nullptr;
  std::uint64_t seed = 0;  ///< with step and layer_index, addresses the random numbers of this call
  std::uint64_t step = 0;
  std::uint32_t layer_index = 0;  ///< of the layer's node in the network, whatever is fused
  int alternative = 0;            ///< index into OpNeeds::alternatives
  /// Training: where not null the batch is a part of one that several ranks share, and what is computed from the batch
  /// as a whole is to be that of all parts.
  const BatchShare* share = nullptr;
  /// Inference: scale and shift of every kAffine post-op put together, for each channel; null when there is none.
  const float* affine_scale = nullptr;
  const float* affine_shift = nullptr;
  const float* bound = nullptr;      ///< Inference: of a kBound post-op; null when there is none
  const float* dst_scale = nullptr;  ///< Inference: the scale of the reader's levels (OpRequest::dst_levels)
};

/// Executes a layer in one executor, for one mode and one type. It may keep oneDNN primitives and tables; everything
/// that changes from call to call is in the Context. Contract: forward is repeatable (same sources, mode and step give
/// the same bits); backward overwrites diff_src and adds to diff_param, which the executor zeroes once a step; only
/// training may touch buffers; no call allocates.
class Op {
 public:
  virtual ~Op();

  /// Parameters have changed: reorder, fold, quantise. Runs before forward, once for each change.
  virtual void refresh(const Context&) {}
  /// Of training, before a run's first step: sets parameters whose initial values are measured (Init::measured) by the
  /// sources at hand. Then come refresh and forward. May allocate.
  virtual void measure(const Context&) {}
  virtual void forward(const Context&) = 0;
  /// Of training alone; the others throw Error(kInternal).
  virtual void backward(const Context&);
};

/// Makes an O<float> or an O<BFloat16>.
template <template <class> class O, class... Arguments>
std::unique_ptr<Op> make_typed(DataType type, Arguments&&... arguments) {
  if (type == DataType::kBF16) return std::make_unique<O<BFloat16>>(std::forward<Arguments>(arguments)...);
  return std::make_unique<O<float>>(std::forward<Arguments>(arguments)...);
}

/// Operations to the same result to choose from; all are kept ready. The names go to OpNeeds::alternatives.
class Ways : public Op {
 public:
  void add(std::unique_ptr<Op> op) { ops_.push_back(std::move(op)); }
  void refresh(const Context& c) override;
  void forward(const Context& c) override { ops_[static_cast<std::size_t>(c.alternative)]->forward(c); }

 private:
  std::vector<std::unique_ptr<Op>> ops_;
};

/// Whether a kernel (OpNeeds::kernel, or one of the names in it) is oneDNN's reference code, which is hundreds of times
/// slower than the others.
bool is_reference_kernel(const std::string& kernel);

}  // namespace sluice
