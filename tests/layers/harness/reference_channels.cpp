// References of layers that move or drop values: concat, split, channel_shuffle, flatten,
// dropout, stochastic_depth; and of pact_relu.
#include <algorithm>
#include <cmath>

#include "core/base/random.hpp"
#include "tests/layers/harness/reference_ops.hpp"

namespace sluice {
namespace {

/// Row n of the result: row n of each source, one behind the other.
class ConcatReference : public ReferenceOp {
 public:
  explicit ConcatReference(const ReferenceKeys&) {}
  void forward(ReferenceCall& call) override {
    Shape shape = call.src[0]->shape;
    shape[kC] = 0;
    for (const Array* src : call.src) shape[kC] += src->shape[kC];
    call.dst = Array(shape);
    for_values(call, [&](std::size_t k, std::int64_t from, std::int64_t to) { call.dst[to] = (*call.src[k])[from]; });
  }
  void backward(ReferenceCall& call) override {
    for_values(call,
               [&](std::size_t k, std::int64_t to, std::int64_t from) { call.diff_src[k][to] = call.diff_dst[from]; });
  }

 private:
  template <class Body>
  static void for_values(const ReferenceCall& call, Body&& body) {
    const std::int64_t rows = call.dst.shape[kN], row = call.dst.count() / rows;
    std::int64_t first = 0;
    for (std::size_t k = 0; k < call.src.size(); ++k) {
      const std::int64_t width = call.src[k]->count() / rows;
      for (std::int64_t n = 0; n < rows; ++n) {
        for (std::int64_t i = 0; i < width; ++i) body(k, n * width + i, n * row + first + i);
      }
      first += width;
    }
  }
};

/// Part k has the columns from k W on, W of them, of each row of channels.
class SplitReference : public ReferenceOp {
 public:
  explicit SplitReference(const ReferenceKeys& keys) : parts_(keys.integer("parts", 2)) {}
  void forward(ReferenceCall& call) override {
    Shape shape = call.src[0]->shape;
    shape[kC] /= parts_;
    call.dst = Array(shape);
    call.more_dst.assign(static_cast<std::size_t>(parts_ - 1), Array(shape));
    for_values(call, [&](std::int64_t part, std::int64_t to, std::int64_t from) {
      (part == 0 ? call.dst : call.more_dst[static_cast<std::size_t>(part - 1)])[to] = (*call.src[0])[from];
    });
  }
  void backward(ReferenceCall& call) override {
    for_values(call, [&](std::int64_t part, std::int64_t from, std::int64_t to) {
      call.diff_src[0][to] = (part == 0 ? call.diff_dst : call.more_diff_dst[static_cast<std::size_t>(part - 1)])[from];
    });
  }

 private:
  template <class Body>
  void for_values(const ReferenceCall& call, Body&& body) const {
    const std::int64_t whole = call.src[0]->count() / call.src[0]->shape[kN], width = whole / parts_;
    for (std::int64_t i = 0; i < call.src[0]->count(); ++i) body(i % whole / width, i / whole * width + i % width, i);
  }

  std::int64_t parts_;
};

/// The channels written row by row into a table of so many rows, and read column by column.
class ShuffleReference : public ReferenceOp {
 public:
  explicit ShuffleReference(const ReferenceKeys& keys) : groups_(keys.integer("groups", 2)) {}
  void forward(ReferenceCall& call) override {
    call.dst = Array(call.src[0]->shape);
    for_values(call, [&](std::int64_t to, std::int64_t from) { call.dst[to] = (*call.src[0])[from]; });
  }
  void backward(ReferenceCall& call) override {
    for_values(call, [&](std::int64_t from, std::int64_t to) { call.diff_src[0][to] = call.diff_dst[from]; });
  }

 private:
  template <class Body>
  void for_values(const ReferenceCall& call, Body&& body) const {
    const Shape& s = call.src[0]->shape;
    const std::int64_t pixels = s[kH] * s[kW], columns = s[kC] / groups_;
    for (std::int64_t n = 0; n < s[kN]; ++n) {
      std::int64_t channel = 0;
      for (std::int64_t column = 0; column < columns; ++column) {
        for (std::int64_t row = 0; row < groups_; ++row, ++channel) {
          for (std::int64_t p = 0; p < pixels; ++p)
            body((n * s[kC] + channel) * pixels + p, (n * s[kC] + row * columns + column) * pixels + p);
        }
      }
    }
  }

  std::int64_t groups_;
};

/// The same values in logical order.
class FlattenReference : public ReferenceOp {
 public:
  explicit FlattenReference(const ReferenceKeys&) {}
  void forward(ReferenceCall& call) override {
    const Array& src = *call.src[0];
    call.dst = src;
    call.dst.shape = Shape{src.shape[kN], src.count() / src.shape[kN]};
  }
  void backward(ReferenceCall& call) override { call.diff_src[0].values = call.diff_dst.values; }
};

/// Element i in the order N, H, W, C takes the lower (i even) or upper half of word i / 2 of the layer's stream.
class DropoutReference : public ReferenceOp {
 public:
  explicit DropoutReference(const ReferenceKeys& keys)
      : threshold_(std::llround((1 - keys.number("rate", 0.5)) * 65536)) {}
  void forward(ReferenceCall& call) override {
    call.dst = *call.src[0];
    if (call.training) scale(call, call.dst);
  }
  void backward(ReferenceCall& call) override {
    call.diff_src[0] = call.diff_dst;
    scale(call, call.diff_src[0]);
  }

 private:
  void scale(const ReferenceCall& call, Array& values) const {
    Shape s = values.shape;
    if (s.rank() == 2) s = {s[0], s[1], 1, 1};
    Random random(call.seed, Purpose::kDropout, call.step, static_cast<std::uint32_t>(call.node));
    std::uint32_t word = 0;
    for (std::int64_t i = 0; i < values.count(); ++i) {
      word = i % 2 == 0 ? random.bits() : word >> 16;
      const std::int64_t c = i % s[kC], pixel = i / s[kC] % (s[kH] * s[kW]), n = i / (s[kC] * s[kH] * s[kW]);
      const bool kept = (word & 0xffffU) < threshold_;
      double& value = values[(n * s[kC] + c) * s[kH] * s[kW] + pixel];
      value = kept ? value * 65536 / static_cast<double>(threshold_) : 0;
    }
  }

  std::int64_t threshold_;
};

/// One number is drawn for each image: below p = rate place / places all of it is 0, else it grows by 1 / (1 - p).
class DepthReference : public ReferenceOp {
 public:
  explicit DepthReference(const ReferenceKeys& keys)
      : p_(keys.number("rate", 0.2) * keys.number("place", 1) / keys.number("places", 1)) {}
  void forward(ReferenceCall& call) override {
    call.dst = *call.src[0];
    if (call.training) scale(call, call.dst);
  }
  void backward(ReferenceCall& call) override {
    call.diff_src[0] = call.diff_dst;
    scale(call, call.diff_src[0]);
  }

 private:
  void scale(const ReferenceCall& call, Array& values) const {
    Random random(call.seed, Purpose::kDropout, call.step, static_cast<std::uint32_t>(call.node));
    const std::int64_t images = values.shape[kN], image = values.count() / images;
    for (std::int64_t n = 0; n < images; ++n) {
      const double factor = random.uniform() < p_ ? 0 : 1 / (1 - p_);
      for (std::int64_t i = 0; i < image; ++i) values[n * image + i] *= factor;
    }
  }

  double p_;
};

/// y = max(z, 0) + slope min(z, 0) + shift_y, z = x + shift_x, all by channel.
class RPReluReference : public ReferenceOp {
 public:
  explicit RPReluReference(const ReferenceKeys&) {}
  void forward(ReferenceCall& call) override {
    call.dst = *call.src[0];
    each(call, [&](std::int64_t i, std::int64_t c) {
      const double z = (*call.src[0])[i] + (*call.param["shift_x"])[c];
      call.dst[i] = (z > 0 ? z : (*call.param["weight"])[c] * z) + (*call.param["shift_y"])[c];
    });
  }
  void backward(ReferenceCall& call) override {
    each(call, [&](std::int64_t i, std::int64_t c) {
      const double z = (*call.src[0])[i] + (*call.param["shift_x"])[c], g = call.diff_dst[i];
      call.diff_src[0][i] = z > 0 ? g : (*call.param["weight"])[c] * g;
      (*call.diff_param["shift_x"])[c] += call.diff_src[0][i];
      (*call.diff_param["weight"])[c] += z > 0 ? 0 : g * z;
      (*call.diff_param["shift_y"])[c] += g;
    });
  }

 private:
  template <class Body>
  void each(const ReferenceCall& call, Body&& body) const {
    const Shape& s = call.src[0]->shape;
    for (std::int64_t i = 0; i < call.src[0]->count(); ++i) body(i, i / (s[kH] * s[kW]) % s[kC]);
  }
};

/// y = min(max(x, 0), b); diff_x = g where 0 <= x <= b, diff_b = sum of g where x > b.
class PactReference : public ReferenceOp {
 public:
  explicit PactReference(const ReferenceKeys&) {}
  void forward(ReferenceCall& call) override {
    const double bound = (*call.param["upper_bound"])[0];
    call.dst = *call.src[0];
    for (double& value : call.dst.values) value = std::min(std::max(value, 0.0), bound);
  }
  void backward(ReferenceCall& call) override {
    const double bound = (*call.param["upper_bound"])[0];
    for (std::int64_t i = 0; i < call.dst.count(); ++i) {
      const double x = (*call.src[0])[i], g = call.diff_dst[i];
      call.diff_src[0][i] = x >= 0 && x <= bound ? g : 0;
      if (x > bound) (*call.diff_param["upper_bound"])[0] += g;
    }
  }
};

}  // namespace

void add_channel_references(ReferenceTable& table) {
  table["channel_shuffle"] = reference<ShuffleReference>();
  table["concat"] = reference<ConcatReference>();
  table["flatten"] = reference<FlattenReference>();
  table["dropout"] = reference<DropoutReference>();
  table["stochastic_depth"] = reference<DepthReference>();
  table["split"] = reference<SplitReference>();
  table["pact_relu"] = reference<PactReference>();
  table["rprelu"] = reference<RPReluReference>();
}

}  // namespace sluice
