// Training of channel-gated layers.
#include "gating/cg_conv.hpp"
#include "gating/split_convolution.hpp"
#include "gating/two_products.hpp"

namespace sluice {
namespace {

template <class T>
class CgTraining : public Op {
 public:
  CgTraining(const OpRequest& request, const CgOptions& options, OpNeeds& needs)
      : mask_(options.mask(request.src[0].shape)),
        momentum_(options.momentum),
        two_norms_(options.two_norms),
        measures_(options.gate.open_share > 0),
        rows_(needs.slots, options.geometry.channels),
        limits_(needs.slots, options.geometry.channels, options.eps),
        products_(options.gate, request.src[0], request.dst),
        convolution_(request, options.geometry, products_.desc(), mask_.split_blocks()) {
    Frames frames = needs.slots.frames();
    statistics_ = Scratch(frames.forward).book<double>(ChannelSums::count(products_.channels()));
    Scratch gate = products_.book_training(needs, frames.backward);
    if (two_norms_) {
      norms_ = TwoNorms(needs.slots, ChannelGroups(request.dst), options.eps, options.momentum);
      norms_.book_training(frames.forward, gate);
    }
    convolution_.book(needs, frames);
  }

  void refresh(const Context& c) override { convolution_.refresh(c, mask_); }

  void measure(const Context& c) override {
    if (!measures_) return;
    const T* const both = products_.products(c.memory);
    convolution_.forward(c, products_.products(c.memory));
    float *const mean = rows_(c.memory, kMean), *const variance = rows_(c.memory, kVariance);
    batch_statistics(products_.channels(), both, mean, variance, c.memory[statistics_], c.share);
    std::fill_n(c.param[1], products_.channels().channels, 0.0F);
    limits_.set(c, mean, variance);
    products_.measure(c, limits_.of(c.memory), c.param[1]);
  }

  void forward(const Context& c) override {
    const T* const both = products_.products(c.memory);
    convolution_.forward(c, products_.products(c.memory));
    float *const mean = rows_(c.memory, kMean), *const variance = rows_(c.memory, kVariance);
    batch_statistics(products_.channels(), both, mean, variance, c.memory[statistics_], c.share);
    update_running_statistics(products_.channels(), mean, variance, momentum_, c.buffer[0], c.buffer[1], c.share);
    limits_.set(c, mean, variance);
    if (!two_norms_) return products_.select(c, limits_.of(c.memory));
    norms_.normalise_batch(c, products_.gate(), both, mean, variance);
    const GateNorms norms{norms_.constants(c.memory)};
    products_.select(c, limits_.of(c.memory), &norms);
  }

  void backward(const Context& c) override {
    if (two_norms_) {
      backward_of_norms(c);
    } else {
      products_.backward(c, limits_.of(c.memory), rows_(c.memory, kMean), nullptr,
                         [&](ChannelSums& sums, const T* products, T* diff_products) {
                           products_.gate().correct(products, finish_normalisation(c, sums), diff_products);
                         });
    }
    convolution_.backward(c, mask_, products_.diff_products(c.memory));
  }

 private:
  enum Row { kMean, kVariance, kShift, kFactor, kRows };

  void backward_of_norms(const Context& c) const {
    ChannelSums full = norms_.full_sums(c.memory), base = norms_.base_sums(c.memory);
    const GateNorms norms{norms_.constants(c.memory), &full, &base};
    products_.backward(c, limits_.of(c.memory), rows_(c.memory, kMean), &norms,
                       [&](ChannelSums& sums, const T* products, T* diff_products) {
                         GateCorrection correction = finish_normalisation(c, sums);
                         norms_.finish_backward(c, full, base, rows_(c.memory, kMean), rows_(c.memory, kVariance),
                                                rows_(c.memory, kShift), rows_(c.memory, kFactor), correction);
                         products_.gate().correct(products, correction, diff_products);
                       });
  }

  // BN0_backward(u) = slope (u - mean(u) - x^ mean(u x^)) with x^ = slope (Yp - mean); the gate has added slope u.
  GateCorrection finish_normalisation(const Context& c, ChannelSums& sums) const {
    const ChannelGroups& groups = products_.channels();
    const double count = static_cast<double>(groups.images * groups.rows);
    const float* const slopes = limits_.of(c.memory).slope;
    float *const shifts = rows_(c.memory, kShift), *const factors = rows_(c.memory, kFactor);
    for (std::int64_t o = 0; o < groups.channels; ++o) c.diff_param[1][o] -= static_cast<float>(sums.first(o));
    sums.add_gradients(c.share);
    for (std::int64_t o = 0; o < groups.channels; ++o) {
      const double slope = static_cast<double>(slopes[o]);
      shifts[o] = static_cast<float>(slope * sums.first(o) / count);
      factors[o] = static_cast<float>(slope * slope * slope * sums.second(o) / count);
    }
    GateCorrection correction;
    correction.mean = rows_(c.memory, kMean);
    correction.b = shifts;
    correction.c = factors;
    return correction;
  }

  PathMask mask_;
  double momentum_;
  bool two_norms_, measures_;
  ChannelRows<Row> rows_;
  CgLimits limits_;
  TwoNorms norms_;
  TwoProducts<T> products_;
  SplitConvolution convolution_;
  Slot<double> statistics_;
};

}  // namespace

std::unique_ptr<Op> make_cg_training(const OpRequest& request, const CgOptions& options, OpNeeds& needs) {
  return make_typed<CgTraining>(request.dst.type, request, options, needs);
}

}  // namespace sluice
