// The layer type `checkered_conv`, as a plug-in: a gated convolution that decides by itself, and that skips in
// inference. Outputs on the dark fields of a chess board are computed of all input channels, the others of the first
// half.
#include <algorithm>
#include <sluice/convolution.hpp>
#include <sluice/gate.hpp>

namespace {

using namespace sluice;

bool is_open(std::int64_t y, std::int64_t x) {
  return (y + x) % 2 == 0;
}

/// The weights of the first half of the input channels are the base path's (SplitConvolution).
struct HalfSplit {
  Shape weights;

  std::int64_t place(std::int64_t i) const {
    const std::int64_t channel = i / (weights[2] * weights[3]) % weights[1];
    return channel < weights[1] / 2 ? i : weights.count() + i;
  }
  void split(const float* from, float* both) const {
    std::fill_n(both, 2 * weights.count(), 0.0F);
    for (std::int64_t i = 0; i < weights.count(); ++i) both[place(i)] = from[i];
  }
  void merge(const float* diff_both, float* diff_weights) const {
    for (std::int64_t i = 0; i < weights.count(); ++i) diff_weights[i] += diff_both[place(i)];
  }
};

/// Calls body(n, o, y, x) for every output.
template <class Body>
void for_each_output(const Shape& dst, const Body& body) {
  parallel_for(dst[kN] * dst[kC], 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      for (std::int64_t y = 0; y < dst[kH]; ++y)
        for (std::int64_t x = 0; x < dst[kW]; ++x) body(i / dst[kC], i % dst[kC], y, x);
  });
}

/// Adds to the layer's counts, in the order of their declaration, and keeps the decisions where they are wanted.
void note_decisions(const Context& c, const std::optional<Slot<float>>& decisions) {
  const Shape& dst = c.dst.shape();
  for (std::int64_t y = 0; y < dst[kH]; ++y)
    for (std::int64_t x = 0; x < dst[kW]; ++x) c.counts[0] += is_open(y, x) ? dst[kN] * dst[kC] : 0;
  c.counts[1] += dst.count();
  if (!decisions) return;
  float* const kept = c.memory[*decisions];
  for_each_output(dst, [&](std::int64_t n, std::int64_t o, std::int64_t y, std::int64_t x) {
    kept[c.dst.desc.offset(n, o, y, x)] = is_open(y, x) ? 1.0F : 0.0F;
  });
}

/// Computes both products everywhere: training, and inference that does not skip.
template <class T>
class DenseOp : public Op {
 public:
  DenseOp(const OpRequest& request, const ConvGeometry& geometry, OpNeeds& needs)
      : trains_(request.training()),
        split_{geometry.weights_shape(request.src[0].shape)},
        convolution_(request, geometry, Gate::products_desc(request.src[0], request.dst)),
        decisions_(needs.decisions) {
    const TensorDesc both = Gate::products_desc(request.src[0], request.dst);
    Frames frames = needs.slots.frames();
    if (trains_) {
      diff_products_ = frames.backward.book(both);
    } else {
      epilogue_ = EpiloguePass(request, needs);
    }
    products_ = frames.forward.book(both);
    convolution_.book(needs, frames);
  }

  void refresh(const Context& c) override { convolution_.refresh(c, split_); }

  void forward(const Context& c) override {
    const Tensor both = c.memory[products_];  // channel o: the base product, channel o + O: the rest
    convolution_.forward(c, both.data);
    const T* const p = both.as<const T>();
    T* const dst = c.dst.as<T>();
    const std::int64_t outputs = c.dst.shape()[kC];
    for_each_output(c.dst.shape(), [&](std::int64_t n, std::int64_t o, std::int64_t y, std::int64_t x) {
      const float base = widen(p[both.desc.offset(n, o, y, x)]);
      const float rest = is_open(y, x) ? widen(p[both.desc.offset(n, o + outputs, y, x)]) : 0.0F;
      narrow(base + rest, dst[c.dst.desc.offset(n, o, y, x)]);
    });
    if (!trains_) epilogue_.run<T>(c);
    note_decisions(c, decisions_);
  }

  void backward(const Context& c) override {
    const Tensor diff = c.memory[diff_products_];
    const T* const g = c.diff_dst[0].as<const T>();
    T* const d = diff.as<T>();
    const std::int64_t outputs = c.dst.shape()[kC];
    for_each_output(c.dst.shape(), [&](std::int64_t n, std::int64_t o, std::int64_t y, std::int64_t x) {
      const float value = widen(g[c.dst.desc.offset(n, o, y, x)]);
      narrow(value, d[diff.desc.offset(n, o, y, x)]);
      narrow(is_open(y, x) ? value : 0.0F, d[diff.desc.offset(n, o + outputs, y, x)]);
    });
    convolution_.backward(c, split_, diff.data);
  }

 private:
  bool trains_;
  HalfSplit split_;
  SplitConvolution convolution_;
  EpiloguePass epilogue_;
  BookedTensor products_, diff_products_;
  std::optional<Slot<float>> decisions_;
};

/// Inference that reads the second half of the channels only where an output is open. Plain loops: an example.
template <class T>
class SkipOp : public Op {
 public:
  SkipOp(const OpRequest& request, const ConvGeometry& geometry, OpNeeds& needs)
      : geometry_(geometry), epilogue_(request, needs), decisions_(needs.decisions) {}

  void forward(const Context& c) override {
    T* const dst = c.dst.as<T>();
    const std::int64_t inputs = c.src[0].shape()[kC];
    for_each_output(c.dst.shape(), [&](std::int64_t n, std::int64_t o, std::int64_t y, std::int64_t x) {
      const std::int64_t read = is_open(y, x) ? inputs : inputs / 2;
      float sum = 0;
      for (std::int64_t i = 0; i < read; ++i) sum += product(c, n, o, y, x, i);
      narrow(sum, dst[c.dst.desc.offset(n, o, y, x)]);
    });
    epilogue_.run<T>(c);
    note_decisions(c, decisions_);
  }

 private:
  /// Of a filter's channel i with the source.
  float product(const Context& c, std::int64_t n, std::int64_t o, std::int64_t y, std::int64_t x,
                std::int64_t i) const {
    const Tensor& src = c.src[0];
    const std::int64_t kernel = geometry_.kernel, first = (o * src.shape()[kC] + i) * kernel * kernel;
    float sum = 0;
    for (std::int64_t tap = 0; tap < kernel * kernel; ++tap) {
      const std::int64_t sy = y * geometry_.stride - geometry_.pad + tap / kernel * geometry_.dilation,
                         sx = x * geometry_.stride - geometry_.pad + tap % kernel * geometry_.dilation;
      if (sy < 0 || sx < 0 || sy >= src.shape()[kH] || sx >= src.shape()[kW]) continue;
      sum += c.param[0][first + tap] * widen(src.as<const T>()[src.desc.offset(n, i, sy, sx)]);
    }
    return sum;
  }

  ConvGeometry geometry_;
  EpiloguePass epilogue_;
  std::optional<Slot<float>> decisions_;
};

/// src: N x I x H x W; weight: O x I x K x K.
///   P = conv(src, first half of the channels),  R = conv(src, the others),  dst = P + d (.) R,  d = 1 where y + x is
///   even diff_P = g,  diff_R = g (.) d
class CheckeredConv : public Layer {
 public:
  explicit CheckeredConv(Keys& keys) {
    geometry_.describe(keys);
    if (keys.documenting()) return;
    if (geometry_.groups != 1) keys.error("groups", "checkered_conv cannot be grouped");
  }

  void infer(const std::vector<Shape>& src, Declarations& declare) const override {
    require_sources(src, 1);
    declare.dst = geometry_.dst_shape(src[0]);
    const Shape weights = geometry_.weights_shape(src[0]);
    declare.parameter("weight", weights, "weights", Init::kaiming(weights[1] * weights[2] * weights[3]));
    const int open = declare.count("open", Role::kOpen), total = declare.count("total", Role::kTotal);
    const std::int64_t macs = geometry_.macs(src[0]), base = macs / weights[1] * (weights[1] / 2);
    declare.costs.push_back({base});
    declare.costs.push_back({macs - base, 32, 32, open, total});
    declare.wants_activation = true;
  }

  std::unique_ptr<Op> make_op(const OpRequest& request, OpNeeds& needs) const override {
    if (request.record_decisions) needs.decisions = needs.slots.kept<float>(request.dst.shape.count());
    auto dense = make_typed<DenseOp>(request.dst.type, request, geometry_, needs);
    if (request.training() || !request.may_skip) return dense;
    auto ways = std::make_unique<Ways>();
    ways->add(make_typed<SkipOp>(request.dst.type, request, geometry_, needs));
    ways->add(std::move(dense));
    needs.alternatives = {"skip", "dense"};  // in the order of the ways
    needs.kernel = "checkered";
    return ways;
  }

  /// In inference the layer does what stands behind it: both ways end with an EpiloguePass.
  bool accepts(const std::vector<PostOp>& accepted, const PostOp& next, Mode mode) const override {
    return mode == Mode::kInference && conv_accepts(accepted, next);
  }

 private:
  ConvGeometry geometry_;
};

void register_types(Registry& registry) {
  registry.add_layer("checkered_conv", "gated convolution: half of the inputs count on every second output only",
                     [](Keys& keys) { return std::make_unique<CheckeredConv>(keys); });
  registry.add_dense_type("checkered_conv", "conv");
}

}  // namespace

const sluice::Plugin* sluice_plugin() {
  static constexpr sluice::Plugin kPlugin = sluice::describe_plugin(
      "checkered_conv", "a gated convolution that decides by itself and skips in inference", register_types);
  return &kPlugin;
}
