// PACT (Choi et al. 2018, arXiv 1805.06085): a ReLU clipped at a bound that is learned.
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "layers/kernels/pact_kernels.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

/// dst = min(max(src, 0), upper_bound). diff_src = diff_dst where 0 <= src <= upper_bound, else 0; diff_upper_bound is
/// the sum of diff_dst where src > upper_bound, in double and in an order that does not depend on the threads. Layers
/// share a bound by `share = LAYER`.
class PactRelu : public Layer {
 public:
  explicit PactRelu(Keys& keys) { keys.optional("init", init_, above_zero(), "initial upper bound"); }

  void infer(const std::vector<Shape>& src, Declarations& declare) override {
    require_sources(src, 1);
    declare.dst = src[0];
    declare.like_src = true;
    declare.is_activation = true;
    declare.nonnegative = true;
    declare.parameter("upper_bound", {1}, "bound", Init::constant(init_));
  }

  void setup(Setup& setup) override {
    setup.kernel = "sluice:" + to_string(cpu_isa());
    if (setup.mode == Mode::kInference) {
      setup.dst_may_overwrite_src = true;
      return;
    }
    setup.backward_uses_src = true;
    chunks_ = (setup.dst.count() + kChunk - 1) / kChunk;
    setup.request_scratch(chunks_ * 8);
  }

  void forward(Context& c) override {
    if (c.dst.desc.type == DataType::kBF16) return forward_as<BFloat16>(c);
    forward_as<float>(c);
  }

  void backward(Context& c) override {
    if (c.dst.desc.type == DataType::kBF16) return backward_as<BFloat16>(c);
    backward_as<float>(c);
  }

 private:
  static constexpr std::int64_t kChunk = 1 << 12;  ///< values whose gradients are summed by one thread

  template <class T>
  static void forward_as(Context& c) {
    const float bound = *c.param[0];
    parallel_for(c.dst.desc.count(), 1 << 14, [&](std::int64_t begin, std::int64_t end) {
      pact_kernels<T>().forward(end - begin, c.src[0].as<const T>() + begin, c.dst.as<T>() + begin, bound);
    });
  }

  template <class T>
  void backward_as(Context& c) const {
    const float bound = *c.param[0];
    const std::int64_t count = c.dst.desc.count();
    T* const diff_src = c.diff_src[0].as<T>();
    double* const sums = static_cast<double*>(c.scratch);
    parallel_for(chunks_, 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t first = i * kChunk;
        sums[i] = pact_kernels<T>().backward(std::min(kChunk, count - first), c.src[0].as<const T>() + first,
                                             c.diff_dst[0].as<const T>() + first,
                                             diff_src == nullptr ? nullptr : diff_src + first, bound);
      }
    });
    double total = 0;
    for (std::int64_t i = 0; i < chunks_; ++i) total += sums[i];
    *c.diff_param[0] += static_cast<float>(total);
  }

  double init_ = 6;
  std::int64_t chunks_ = 0;
};

}  // namespace

std::unique_ptr<Layer> make_pact_relu(Keys& keys) {
  return std::make_unique<PactRelu>(keys);
}

}  // namespace sluice
