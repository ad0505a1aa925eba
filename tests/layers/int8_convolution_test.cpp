// The dense convolution of int8 against plain sums of the rounded operands.
#include "layers/int8_convolution.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "core/base/buffer.hpp"
#include "core/base/random.hpp"
#include "layers/int8_edges.hpp"
#include "tests/layers/kernel_values.hpp"

namespace sluice {
namespace {

struct Case {
  std::int64_t inputs = 16, outputs = 16, kernel = 3, stride = 1;
  bool affine = true, bias = false, adds = false, clips = false;
  bool src_in_int8 = false, dst_in_int8 = false, addend_in_int8 = false;
  bool extreme = false;  ///< all operands at their largest
};

/// make_int8_convolution, or another function like it.
using Make = std::function<std::unique_ptr<Op>(const OpRequest&, const ConvGeometry&, bool, OpNeeds&, std::string&)>;

constexpr std::int64_t kImages = 2, kHeight = 5, kWidth = 7;
constexpr double kRange = 2.54;  // what is above is cut off
constexpr float kSrcScale = static_cast<float>(kRange / 127), kDstScale = 0.05F, kAddendScale = 0.02F;

std::vector<std::uint8_t> to_levels(const std::vector<float>& values, float scale) {
  std::vector<std::uint8_t> levels;
  for (float x : values)
    levels.push_back(static_cast<std::uint8_t>(std::clamp(std::nearbyint(x / scale), 0.0F, 127.0F)));
  return levels;
}

class Int8Convolutions {
 protected:
  OpRequest request_of(const Case& c) {
    geometry_.channels = c.outputs;
    geometry_.kernel = c.kernel;
    geometry_.pad = c.kernel / 2;
    geometry_.stride = c.stride;
    OpRequest setup;
    setup.src = {{{kImages, c.inputs, kHeight, kWidth}, DataType::kF32, c.inputs}};
    setup.dst = {geometry_.dst_shape(setup.src[0].shape), DataType::kF32, c.outputs};
    setup.addend = setup.dst;
    const auto put_in_int8 = [](TensorDesc& desc, float scale) {
      desc.type = DataType::kU8;
      desc.scale = scale;
    };
    if (c.src_in_int8) put_in_int8(setup.src[0], kSrcScale);
    if (c.dst_in_int8) put_in_int8(setup.dst, kDstScale);
    if (c.addend_in_int8) put_in_int8(setup.addend, kAddendScale);
    setup.src_nonnegative = {true};
    setup.src_range = kRange;
    if (c.affine) setup.post_ops.push_back({PostOp::Kind::kAffine});
    if (c.adds) setup.post_ops.push_back({PostOp::Kind::kAdd});
    if (c.clips) setup.post_ops.push_back({PostOp::Kind::kClip, 0.0F, 1.0F});
    return setup;
  }

  std::vector<float> numbers(std::int64_t count, double scale = 1) {
    std::vector<float> values;
    for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(random_.normal() * scale));
    return values;
  }

  void expect(const Case& c, const Make& make = make_int8_convolution);

  Random random_{5, Purpose::kTest};
  ConvGeometry geometry_;
};

/// The sum of one output in levels of its operands, times their scales.
double product(const ConvGeometry& g, const TensorDesc& src, const std::vector<float>& x, const float* w, float w_scale,
               std::int64_t n, std::int64_t oy, std::int64_t ox) {
  const float scale = kSrcScale;
  double sum = 0;
  const std::int64_t inputs = src.shape[kC];
  for (std::int64_t i = 0; i < inputs; ++i) {
    for (std::int64_t tap = 0; tap < g.kernel * g.kernel; ++tap) {
      const std::int64_t y = oy * g.stride - g.pad + tap / g.kernel, in_row = ox * g.stride - g.pad + tap % g.kernel;
      if (y < 0 || in_row < 0 || y >= kHeight || in_row >= kWidth) continue;
      const float value = x[static_cast<std::size_t>(src.offset(n, i, y, in_row))];
      const double level = std::clamp(static_cast<double>(std::nearbyint(value * (1 / scale))), 0.0, 127.0);
      sum += level * static_cast<double>(std::nearbyint(w[i * g.kernel * g.kernel + tap] / w_scale));
    }
  }
  return sum * static_cast<double>(scale) * static_cast<double>(w_scale);
}

void Int8Convolutions::expect(const Case& c, const Make& make) {
  const OpRequest setup = request_of(c);
  OpNeeds needs;
  std::string kernel;
  const std::unique_ptr<Op> conv = make(setup, geometry_, c.bias, needs, kernel);
  ASSERT_NE(conv, nullptr);
  EXPECT_NE(kernel, "");
  const std::int64_t filter = c.inputs * c.kernel * c.kernel;
  std::vector<float> src = numbers(setup.src[0].count()), weights = numbers(c.outputs * filter, 0.1);
  for (float& x : src) x = c.extreme ? static_cast<float>(kRange) : std::max(x, 0.0F);
  if (c.extreme) std::fill(weights.begin(), weights.end(), 0.1F);
  std::fill_n(weights.begin(), filter, 0.0F);  // an output without any weight
  const std::vector<float> scale = numbers(c.outputs), shift = numbers(c.outputs);
  std::vector<float> bias = numbers(c.outputs);
  std::vector<float> before = numbers(setup.dst.count());
  if (c.addend_in_int8) {
    for (float& x : before) x = std::clamp(std::nearbyint(x / kAddendScale), 0.0F, 127.0F) * kAddendScale;
  }
  const std::vector<std::uint8_t> src_levels = to_levels(src, kSrcScale),
                                  addend_levels = to_levels(before, kAddendScale);
  const void* const addend = c.addend_in_int8 ? static_cast<const void*>(addend_levels.data()) : before.data();
  std::vector<float> dst(before.size());
  if (adds_in_place(setup)) std::memcpy(dst.data(), addend, static_cast<std::size_t>(setup.addend.bytes()));
  const OwnMemory memory(needs.slots);
  Context context;
  context.memory = memory.memory();
  context.param = {weights.data(), bias.data()};
  const void* const source = c.src_in_int8 ? static_cast<const void*>(src_levels.data()) : src.data();
  context.src.push_back({setup.src[0], const_cast<void*>(source)});
  context.dst = Tensor{setup.dst, dst.data()};
  if (c.adds) context.addend = Tensor{setup.addend, const_cast<void*>(addend)};
  if (c.affine) {
    context.affine_scale = scale.data();
    context.affine_shift = shift.data();
  }
  conv->refresh(context);
  conv->forward(context);
  const Shape& shape = setup.dst.shape;
  for (std::int64_t i = 0; i < setup.dst.count(); ++i) {
    const std::int64_t x = i % shape[kW], y = i / shape[kW] % shape[kH], rest = i / shape[kW] / shape[kH];
    const std::int64_t o = rest % c.outputs, n = rest / c.outputs;
    const float* const own = weights.data() + o * filter;
    float most = 0;
    for (std::int64_t k = 0; k < filter; ++k) most = std::max(most, std::abs(own[k]));
    const auto at = static_cast<std::size_t>(setup.dst.offset(n, o, y, x)), channel = static_cast<std::size_t>(o);
    double want = product(geometry_, setup.src[0], src, own, most > 0 ? most / 127 : 1, n, y, x);
    if (c.bias) want += static_cast<double>(bias[channel]);
    if (c.affine) want = want * static_cast<double>(scale[channel]) + static_cast<double>(shift[channel]);
    if (c.adds) want += static_cast<double>(before[at]);
    if (c.clips) want = std::clamp(want, 0.0, 1.0);
    if (!c.dst_in_int8) {
      ASSERT_NEAR(static_cast<double>(dst[at]), want, 3e-6 * (1 + std::abs(want))) << "channel " << o << " of " << n;
      continue;
    }
    const double level = reinterpret_cast<const std::uint8_t*>(dst.data())[at];
    const double wanted = std::clamp(want / static_cast<double>(kDstScale), 0.0, 127.0);
    ASSERT_NEAR(level, wanted, 0.5 + 1e-5 * (1 + wanted)) << "channel " << o << " of " << n;
  }
}

class Int8ConvolutionTest : public ::testing::Test, public Int8Convolutions {};

TEST_F(Int8ConvolutionTest, SumsOfRoundedOperands) {
  for (const auto& [inputs, outputs] : {std::pair{16, 16}, {32, 64}, {64, 32}, {24, 40}}) {
    for (std::int64_t kernel : {1, 3}) {
      for (std::int64_t stride : {1, 2}) {
        Case c;
        c.inputs = inputs;
        c.outputs = outputs;
        c.kernel = kernel;
        c.stride = stride;
        expect(c);
      }
    }
  }
}

TEST_F(Int8ConvolutionTest, Endings) {
  for (int bits = 0; bits < 16; ++bits) {
    Case c;
    c.affine = (bits & 1) != 0;
    c.bias = (bits & 2) != 0;
    c.adds = (bits & 4) != 0;
    c.clips = (bits & 8) != 0;
    expect(c);
  }
}

TEST_F(Int8ConvolutionTest, Int8InAndOut) {
  for (int bits = 0; bits < 32; ++bits) {
    Case c;
    c.src_in_int8 = (bits & 1) != 0;
    c.dst_in_int8 = (bits & 2) != 0;
    c.adds = (bits & 4) != 0;
    c.addend_in_int8 = (bits & 8) != 0;
    c.clips = (bits & 16) != 0;
    if (c.addend_in_int8 && !c.adds) continue;
    expect(c);
  }
}

TEST_F(Int8ConvolutionTest, IsNoneWhereInt8WillNotDo) {
  const auto is_none = [&](const std::function<void(OpRequest&)>& change) {
    OpRequest request = request_of({});
    change(request);
    OpNeeds needs;
    std::string kernel;
    const bool none = make_int8_convolution(request, geometry_, false, needs, kernel) == nullptr;
    EXPECT_EQ(needs.slots.kept_bytes() + needs.slots.scratch_bytes() == 0, none);
    return none;
  };
  EXPECT_FALSE(is_none([](OpRequest&) {}));
  EXPECT_TRUE(is_none([](OpRequest& r) { r.src_range = 0; }));
  EXPECT_TRUE(is_none([](OpRequest& r) { r.src_nonnegative = {false}; }));
  EXPECT_TRUE(is_none([](OpRequest& r) { r.src[0].type = DataType::kBF16; }));
  EXPECT_TRUE(is_none([](OpRequest& r) { r.dst.block = 8; }));
}

/// Our products, in every build of their kernels.
class Int8ProductTest : public KernelTest, public Int8Convolutions {
 protected:
  static Make make() {
    return [](const OpRequest& request, const ConvGeometry& geometry, bool bias, OpNeeds& needs, std::string& kernel) {
      return make_int8_product(request, geometry, bias, needs, kernel, GetParam());
    };
  }
};

TEST_P(Int8ProductTest, ChannelsAndStrides) {
  for (const auto& [inputs, outputs] : {std::pair{4, 1}, {16, 16}, {24, 40}, {36, 21}, {256, 33}, {1028, 8}}) {
    for (std::int64_t stride : {1, 2, 3}) {
      Case c;
      c.inputs = inputs;
      c.outputs = outputs;
      c.kernel = 1;
      c.stride = stride;
      expect(c, make());
    }
  }
}

TEST_P(Int8ProductTest, LargerFilters) {
  for (const auto& [inputs, outputs] : {std::pair{16, 16}, {32, 48}, {80, 32}}) {
    for (std::int64_t stride : {1, 2, 3}) {
      Case c;
      c.inputs = inputs;
      c.outputs = outputs;
      c.stride = stride;
      expect(c, make());
    }
  }
}

TEST_P(Int8ProductTest, LargestSums) {
  for (std::int64_t inputs : {4, 8, 12, 2048}) {
    Case c;
    c.inputs = inputs;
    c.kernel = 1;
    c.extreme = true;
    expect(c, make());
  }
}

TEST_P(Int8ProductTest, EndingsInAndOut) {
  for (int bits = 0; bits < 256; ++bits) {
    Case c;
    c.kernel = (bits & 128) != 0 ? 3 : 1;
    c.outputs = c.kernel == 1 ? 19 : 32;
    c.src_in_int8 = (bits & 1) != 0;
    c.dst_in_int8 = (bits & 2) != 0;
    c.adds = (bits & 4) != 0;
    c.addend_in_int8 = (bits & 8) != 0;
    c.clips = (bits & 16) != 0;
    c.affine = (bits & 32) != 0;
    c.bias = (bits & 64) != 0;
    if (c.addend_in_int8 && !c.adds) continue;
    expect(c, make());
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, Int8ProductTest, all_isas(), isa_name);

TEST_F(Int8ConvolutionTest, ProductsAreOfWholeUnits) {
  const auto exists = [&](std::int64_t inputs, std::int64_t kernel) {
    Case c;
    c.inputs = inputs;
    c.kernel = kernel;
    const OpRequest request = request_of(c);
    OpNeeds needs;
    std::string name;
    const bool made = make_int8_product(request, geometry_, false, needs, name) != nullptr;
    EXPECT_EQ(needs.slots.kept_bytes() + needs.slots.scratch_bytes() > 0, made);
    return made;
  };
  EXPECT_TRUE(exists(16, 1));
  EXPECT_TRUE(exists(20, 1));
  EXPECT_FALSE(exists(18, 1));
  EXPECT_TRUE(exists(16, 3));
  EXPECT_FALSE(exists(20, 3)) << "larger filters: of channels in sixteens";
}

}  // namespace
}  // namespace sluice
