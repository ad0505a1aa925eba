// The usual loss of a classifier: softmax, then cross entropy with the labels, averaged over the batch; with label
// smoothing.
#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "layers/layers.hpp"

namespace sluice {
namespace {

/// src: N x K logits (fp32) and N labels; dst: one number. With target t = (1 - s) onehot + s / K (Szegedy et al. 2016,
/// sec. 7): loss = -mean over n of sum_k t_k log p_k, diff_src = (p - t) / N. Statistics: `images` and `correct`
/// (exact), `loss` (sum over images, without smoothing).
class SoftmaxCrossEntropy : public Layer {
 public:
  explicit SoftmaxCrossEntropy(Keys& keys) {
    keys.optional("label_smoothing", smoothing_, Range<double>{0.0, 0.999},
                  "share of the target spread over all classes");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) override {
    require_sources(src, 2);
    if (src[0].rank() != 2 || src[1] != Shape{src[0][kN]}) {
      throw ShapeError("from", concat("expected logits N x classes and labels N, got ", to_string(src[0]), " and ",
                                      to_string(src[1])));
    }
    declare.dst = {1};
    declare.dst_type = DataType::kF32;
    declare.is_loss = true;
    declare.count("images");
    declare.count("correct");
    declare.sum("loss");
  }

  void setup(Setup& setup) override {
    if (setup.mode == Mode::kTraining) probabilities_ = setup.request_saved(setup.src[0].shape.count() * 4);
    training_ = setup.mode == Mode::kTraining;
  }

  void forward(Context& c) override {
    const std::int64_t n = c.src[0].shape()[0], k = c.src[0].shape()[1];
    const auto* labels = c.src[1].as<const std::int32_t>();
    double total = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      if (labels[i] < 0 || labels[i] >= k) {
        throw Error(ExitCode::kData,
                    concat("label ", labels[i], " of image ", i, " of the batch: expected 0 to ", k - 1));
      }
      const float* x = c.src[0].as<const float>() + i * k;
      const float top = *std::max_element(x, x + k);
      double sum = 0, mean = 0;
      for (std::int64_t j = 0; j < k; ++j) {
        sum += std::exp(static_cast<double>(x[j] - top));
        mean += static_cast<double>(x[j]);
      }
      const double log_sum = std::log(sum) + static_cast<double>(top);
      const double own = log_sum - static_cast<double>(x[labels[i]]);
      total += (1 - smoothing_) * own + smoothing_ * (log_sum - mean / static_cast<double>(k));
      c.sums[0] += own;
      c.counts[1] += std::max_element(x, x + k) - x == labels[i] ? 1 : 0;
      if (!training_) continue;
      float* p = static_cast<float*>(c.saved[static_cast<std::size_t>(probabilities_)]) + i * k;
      for (std::int64_t j = 0; j < k; ++j) p[j] = static_cast<float>(std::exp(static_cast<double>(x[j]) - log_sum));
    }
    c.counts[0] += n;
    *c.dst.as<float>() = static_cast<float>(total / static_cast<double>(n));
  }

  void backward(Context& c) override {
    const std::int64_t n = c.src[0].shape()[0], k = c.src[0].shape()[1];
    const auto* labels = c.src[1].as<const std::int32_t>();
    const auto* p = static_cast<const float*>(c.saved[static_cast<std::size_t>(probabilities_)]);
    const float scale = *c.diff_dst[0].as<const float>() / static_cast<float>(n);
    const float off = static_cast<float>(smoothing_ / static_cast<double>(k)),
                on = static_cast<float>(1 - smoothing_) + off;
    auto* diff = c.diff_src[0].as<float>();
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < k; ++j) diff[i * k + j] = scale * (p[i * k + j] - (j == labels[i] ? on : off));
    }
  }

 private:
  double smoothing_ = 0;
  bool training_ = false;
  int probabilities_ = -1;
};

}  // namespace

std::unique_ptr<Layer> make_softmax_cross_entropy(Keys& keys) {
  return std::make_unique<SoftmaxCrossEntropy>(keys);
}

}  // namespace sluice
