// What every gated layer does with its two products, whoever computes them: the memory they stand in, the gate, its
// counts, and the gradients of both.
#pragma once

#include <algorithm>
#include <optional>

#include "core/graph/op.hpp"
#include "gating/channel_rows.hpp"
#include "gating/gate.hpp"

namespace sluice {

/// dst = P + d (.) R in one executor, for results of type T (gating/gate.hpp). The layer's counts 0 and 1 are its open
/// gates and all of them.
template <class T>
class TwoProducts {
 public:
  TwoProducts() = default;
  /// Of one convolution with 2 O filters (Gate::products_desc), for a layer from `src` to `dst`.
  TwoProducts(const GateOptions& options, const TensorDesc& src, const TensorDesc& dst)
      : products_{Gate::products_desc(src, dst), {}}, gate_(options, products_.desc, dst) {}
  /// In two tensors like `dst`, one behind the other, which `both` describes.
  static TwoProducts one_behind_other(const GateOptions& options, const TensorDesc& both, const TensorDesc& dst) {
    TwoProducts products;
    products.products_.desc = both;
    products.gate_ = Gate(options, dst);
    return products;
  }

  const TensorDesc& desc() const { return products_.desc; }
  const Gate& gate() const { return gate_; }
  const ChannelGroups& channels() const { return gate_.base(); }

  /// Of inference: scratch memory of forward. `records`: the decisions are kept (OpNeeds::decisions).
  void book_inference(OpNeeds& needs, Scratch& forward, bool records) {
    products_ = forward.book(products_.desc);
    score_ = forward.book<float>(gate_.scores());
    if (records) needs.decisions = decisions_ = needs.slots.kept<float>(products_.desc.count() / 2);
  }
  /// Of training: saved memory, and scratch memory of backward, whose first slot are the gradients of the products.
  /// Returns where memory that is needed together with the gate's own may be booked; `backward` is where memory for
  /// what comes after the gate may be.
  Scratch book_training(OpNeeds& needs, Scratch& backward) {
    products_ = needs.slots.saved(products_.desc);
    score_ = needs.slots.saved<float>(gate_.scores());
    diff_products_ = backward.book(products_.desc);
    Scratch own = backward;
    sums_ = own.book<double>(ChannelSums::count(channels()));
    gradient_ = own.book<float>(gate_.scores());
    return own;
  }

  /// Where the products are to be written.
  T* products(const Memory& memory) const { return reinterpret_cast<T*>(memory[products_.memory]); }

  /// Thresholds for products that stand there (Gate::measure_thresholds).
  void measure(const Context& c, const GateConstants& constants, float* thresholds) const {
    gate_.measure_thresholds(products(c.memory), constants, thresholds);
  }

  /// Of products that stand there. With `norms` the result is that of two normalisations.
  void select(const Context& c, const GateConstants& constants, const GateNorms* norms = nullptr) const {
    const T* const both = products(c.memory);
    float* const score = c.memory[score_];
    c.counts[0] += gate_.forward(both, constants, c.dst.as<T>(), score, norms);
    c.counts[1] += c.dst.desc.count();
    if (decisions_) gate_.decisions(both, constants, score, c.memory[*decisions_]);
  }

  /// Writes the gradients of both products; calls finish(sums, products, diff_products) with the gate's sums by channel
  /// (Gate::backward) while these stand.
  template <class Finish>
  void backward(const Context& c, const GateConstants& constants, const float* mean, const GateNorms* norms,
                Finish&& finish) const {
    ChannelSums sums(channels(), c.memory[sums_]);
    T* const diff = diff_products(c.memory);
    gate_.backward(products(c.memory), c.diff_dst[0].as<const T>(), constants, mean, c.memory[score_],
                   c.memory[gradient_], diff, sums, norms, c.diff_open);
    finish(sums, products(c.memory), diff);
  }
  /// The same for a gate that compares P with thresholds, parameter `threshold` of the layer: adds their gradient, but
  /// for those that are clipped.
  void backward(const Context& c, const GateConstants& constants, std::size_t threshold) const {
    backward(c, constants, nullptr, nullptr, [&](const ChannelSums& sums, const T*, T*) {
      for (std::int64_t o = 0; o < channels().channels; ++o) {
        if (constants.limit[o] == c.param[threshold][o])
          c.diff_param[threshold][o] -= static_cast<float>(sums.first(o));
      }
    });
  }
  T* diff_products(const Memory& memory) const { return reinterpret_cast<T*>(memory[diff_products_.memory]); }

 private:
  BookedTensor products_, diff_products_;
  Gate gate_;
  Slot<float> score_, gradient_;
  Slot<double> sums_;
  std::optional<Slot<float>> decisions_;
};

/// What a gate that compares P itself with thresholds decides by, of one executor.
class ThresholdConstants {
 public:
  ThresholdConstants() = default;
  /// `clip`: GateOptions::threshold_clip.
  ThresholdConstants(SlotBook& book, std::int64_t channels, double clip = 0)
      : channels_(channels), clip_(clip), rows_(book, channels) {}
  void refresh(const Memory& memory, const float* thresholds) const {
    std::transform(thresholds, thresholds + channels_, rows_(memory, kLimit),
                   [this](float threshold) { return clipped_threshold(threshold, clip_); });
    std::fill_n(rows_(memory, kSlope), channels_, 1.0F);
  }
  GateConstants of(const Memory& memory) const { return {rows_(memory, kLimit), rows_(memory, kSlope)}; }

 private:
  enum Row { kLimit, kSlope, kRows };
  std::int64_t channels_ = 0;
  double clip_ = 0;
  ChannelRows<Row> rows_;
};

}  // namespace sluice
