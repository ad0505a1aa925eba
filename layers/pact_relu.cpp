// PACT (Choi et al. 2018, arXiv 1805.06085): a ReLU clipped at a bound that is learned.
#include "layers/pact_relu.hpp"

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/kernels/pact_kernels.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

class PactInference : public Op {
 public:
  explicit PactInference(OpNeeds& needs) { needs.dst_may_overwrite_src = true; }
  void forward(const Context& c) override { clip_at(*c.param[0], c.src[0], c.dst); }
};

template <class T>
class PactTraining : public Op {
 public:
  PactTraining(const OpRequest& request, OpNeeds& needs) {
    needs.backward_uses_src = true;
    sums_ = needs.slots.scratch().book<double>((request.dst.count() + kChunk - 1) / kChunk);
  }

  void forward(const Context& c) override { clip_at(*c.param[0], c.src[0], c.dst); }

  void backward(const Context& c) override {
    const float bound = *c.param[0];
    const std::int64_t count = c.dst.desc.count();
    T* const diff_src = c.diff_src[0].as<T>();
    double* const sums = c.memory[sums_];
    parallel_for(sums_.count(), 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t first = i * kChunk;
        sums[i] = pact_kernels<T>().backward(std::min(kChunk, count - first), c.src[0].as<const T>() + first,
                                             c.diff_dst[0].as<const T>() + first,
                                             diff_src == nullptr ? nullptr : diff_src + first, bound);
      }
    });
    double total = 0;
    for (std::int64_t i = 0; i < sums_.count(); ++i) total += sums[i];
    *c.diff_param[0] += static_cast<float>(total);
  }

 private:
  static constexpr std::int64_t kChunk = 1 << 12;  ///< values whose gradients are summed by one thread
  Slot<double> sums_;
};

/// dst = min(max(src, 0), upper_bound). diff_src = diff_dst where 0 <= src <= upper_bound, else 0; diff_upper_bound is
/// the sum of diff_dst where src > upper_bound, in double and in an order that does not depend on the threads. Layers
/// share a bound by `share = LAYER`.
class PactRelu : public Layer {
 public:
  explicit PactRelu(Keys& keys) { keys.optional("init", init_, above_zero(), "initial upper bound"); }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    declare.dst = src[0];
    declare.like_src = true;
    declare.is_activation = true;
    declare.nonnegative = true;
    declare.by_channel = declare.keeps_zeros = true;
    declare.parameter("upper_bound", {1}, "bound", Init::constant(init_));
  }

  Attributes attributes() const override { return Attributes("clip_at_learned_bound"); }

  std::optional<PostOp> as_post_op(Mode mode) const override {
    if (mode == Mode::kTraining) return std::nullopt;
    return PostOp{PostOp::Kind::kBound, 0, 0};
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    needs.kernel = "sluice:" + to_string(cpu_isa());
    if (request.training()) return make_typed<PactTraining>(request.dst.type, request, needs);
    return std::make_unique<PactInference>(needs);
  }

 private:
  double init_ = 6;
};

}  // namespace

void clip_at(float bound, const Tensor& src, const Tensor& dst) {
  const auto clip = [&](auto type) {
    using T = decltype(type);
    parallel_for(dst.desc.count(), 1 << 14, [&](std::int64_t begin, std::int64_t end) {
      pact_kernels<T>().forward(end - begin, src.as<const T>() + begin, dst.as<T>() + begin, bound);
    });
  };
  dst.desc.type == DataType::kBF16 ? clip(BFloat16{}) : clip(float{});
}

std::unique_ptr<Layer> make_pact_relu(Keys& keys) {
  return std::make_unique<PactRelu>(keys);
}

}  // namespace sluice
