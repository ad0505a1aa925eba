// The convolution of open channels, or of all, in int8 in every build that this processor runs, against plain sums.
#include "layers/int8_open_convolution.hpp"

#include <cstring>

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "tests/layers/kernel_values.hpp"

namespace sluice {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct ByteCase {
  std::int64_t images = 2, inputs = 32, outputs = 48, height = 8, width = 7;
  std::int64_t kernel = 3, stride = 1, pad = 1, dilation = 1;
  double open_inputs = 2, open_outputs = 2;  ///< shares; above 1: these are not closed
  bool adds = false, adds_bytes = false, to_bytes = false, extreme = false;
  float low = -kInfinity, high = kInfinity;
};

std::string to_string(const ByteCase& c) {
  return concat(c.images, " x ", c.inputs, " x ", c.height, " x ", c.width, " to ", c.outputs, ", filter ", c.kernel,
                " / ", c.stride, " / ", c.pad, " / ", c.dilation, ", open ", c.open_inputs, " and ", c.open_outputs,
                c.adds ? ", adds" : "", c.adds_bytes ? " bytes" : "", c.to_bytes ? ", to bytes" : "");
}

Int8OpenConvolution::Problem problem_of(const ByteCase& c) {
  Int8OpenConvolution::Problem problem;
  Int8Product::Problem& p = problem.product;
  p.geometry.channels = c.outputs;
  p.geometry.kernel = c.kernel;
  p.geometry.stride = c.stride;
  p.geometry.pad = c.pad;
  p.geometry.dilation = c.dilation;
  const auto bytes = [](TensorDesc& desc, float scale) {
    desc.type = DataType::kU8;
    desc.scale = scale;
  };
  p.src = {Shape{c.images, c.inputs, c.height, c.width}, DataType::kF32, c.inputs};
  bytes(p.src, 0.02F);
  p.dst = {p.geometry.dst_shape(p.src.shape), DataType::kF32, c.outputs};
  p.addend = p.dst;
  if (c.to_bytes) bytes(p.dst, 0.5F);
  if (c.adds_bytes) bytes(p.addend, 0.25F);
  p.epilogue.adds = c.adds;
  p.epilogue.low = c.to_bytes ? std::max(0.0F, c.low) : c.low;
  p.epilogue.high = c.to_bytes ? std::min(127.0F, c.high) : c.high;
  problem.closes_inputs = c.open_inputs <= 1;
  problem.closes_outputs = c.open_outputs <= 1;
  return problem;
}

using Floats = std::vector<float>;

class ByteData {
 public:
  explicit ByteData(const ByteCase& c) : case_(c), problem_(problem_of(c)), random_(7, Purpose::kTest) {
    const Int8Product::Problem& p = problem_.product;
    inputs_ = factors(c.images * c.inputs, c.open_inputs);
    outputs_ = factors(c.images * c.outputs, c.open_outputs);
    for (std::int64_t i = 0; i < p.src.count(); ++i) {
      const std::int64_t image = i / (p.src.count() / c.images);
      const bool open = inputs_[at(image * c.inputs + i % c.inputs)] != 0;
      src_.push_back(static_cast<std::uint8_t>(open ? level(0, 127) : 0));
    }
    for (std::int64_t i = 0; i < c.outputs * c.inputs * c.kernel * c.kernel; ++i)
      levels_.push_back(static_cast<float>(level(-127, 127)));
    for (std::int64_t o = 0; o < c.outputs; ++o) {
      scale_.push_back(static_cast<float>(random_.normal() * 1e-3));
      shift_.push_back(static_cast<float>(random_.normal()));
    }
    for (std::int64_t i = 0; i < p.dst.count(); ++i) {
      addend_bytes_.push_back(static_cast<std::uint8_t>(level(0, 127)));
      addend_.push_back(static_cast<float>(random_.normal()));
    }
  }

  const Int8OpenConvolution::Problem& problem() const { return problem_; }
  Floats run(Isa isa) const { return run(isa, inputs_, outputs_); }
  /// With all channels open, what is closed being zeros in the source, and multiplied then.
  Floats run_dense(Isa isa) const {
    const Floats ones_in(inputs_.size(), 1.0F), ones_out(outputs_.size(), 1.0F);
    Floats dst = run(isa, ones_in, ones_out);
    for (std::size_t i = 0; i < dst.size(); ++i) dst[i] *= outputs_[factor_of(i)];
    return dst;
  }
  /// By the kernels of filters of one pixel.
  Floats run_product(Isa isa) const {
    const Int8Product product(problem_.product, isa);
    SlotBook book;
    Int8Product own = product;
    own.book(book);
    const OwnMemory memory(book);
    own.pack(memory.memory(), levels_.data());
    Floats scale = scale_, shift = shift_;
    scale.resize(at(own.padded()));
    shift.resize(at(own.padded()));
    std::vector<std::byte> dst(at(problem_.product.dst.bytes()));
    own.run(memory.memory(), src_.data(), {scale.data(), shift.data(), addend()}, dst.data());
    return floats_of(dst);
  }

  /// What is wrong with a result, or nothing.
  std::string compare(const Floats& got) const {
    const ConvGeometry& g = problem_.product.geometry;
    const Shape& dst = problem_.product.dst.shape;
    for (std::size_t i = 0; i < got.size(); ++i) {
      const auto all = static_cast<std::int64_t>(i);
      const std::int64_t o = all % dst[kC], x = all / dst[kC] % dst[kW], y = all / dst[kC] / dst[kW] % dst[kH],
                         n = all / dst[kC] / dst[kW] / dst[kH];
      const double want = expected(g, n, o, y, x, i);
      const double error = std::abs(static_cast<double>(got[i]) - want);
      if (error <= (case_.to_bytes ? 0.501 : 1e-5 * (1 + std::abs(want)))) continue;
      return concat(to_string(case_), ": ", static_cast<double>(got[i]), " instead of ", want, " at ", n, ", ", o, ", ",
                    y, ", ", x);
    }
    return "";
  }

 private:
  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
  std::int64_t level(std::int64_t low, std::int64_t high) {
    if (case_.extreme) return random_.uniform() < 0.9 ? high : low;
    return low + static_cast<std::int64_t>(random_.uniform() * static_cast<double>(high - low + 1));
  }
  Floats factors(std::int64_t count, double open) {
    Floats values(at(count), 1.0F);
    if (open > 1) return values;
    for (float& value : values) value = random_.uniform() < open ? static_cast<float>(0.5 + random_.uniform()) : 0.0F;
    return values;
  }
  std::size_t factor_of(std::size_t element) const {
    const auto all = static_cast<std::int64_t>(element);
    return at(all / (problem_.product.dst.count() / case_.images) * case_.outputs + all % case_.outputs);
  }
  const void* addend() const {
    return case_.adds_bytes ? static_cast<const void*>(addend_bytes_.data()) : addend_.data();
  }
  Floats floats_of(const std::vector<std::byte>& dst) const {
    Floats floats(at(problem_.product.dst.count()));
    if (!case_.to_bytes) std::memcpy(floats.data(), dst.data(), dst.size());
    for (std::size_t i = 0; case_.to_bytes && i < floats.size(); ++i) floats[i] = std::to_integer<std::uint8_t>(dst[i]);
    return floats;
  }

  Floats run(Isa isa, const Floats& inputs, const Floats& outputs) const {
    Int8OpenConvolution convolution(problem_, isa);
    SlotBook book;
    convolution.book(book, book.scratch());
    const OwnMemory memory(book);
    convolution.pack(memory.memory(), levels_.data());
    std::vector<std::byte> dst(at(problem_.product.dst.bytes()));
    for (int pass = 0; pass < 2; ++pass) {  // what a run leaves behind is no matter to the next
      std::memset(dst.data(), 0x7f, dst.size());
      convolution.run(
          memory.memory(), src_.data(),
          {problem_.closes_inputs ? inputs.data() : nullptr, problem_.closes_outputs ? outputs.data() : nullptr},
          {scale_.data(), shift_.data(), addend()}, dst.data());
    }
    return floats_of(dst);
  }

  double expected(const ConvGeometry& g, std::int64_t n, std::int64_t o, std::int64_t y, std::int64_t x,
                  std::size_t element) const {
    const ByteCase& c = case_;
    const std::int64_t taps = c.kernel * c.kernel;
    std::int64_t sum = 0;
    for (std::int64_t k = 0; k < c.inputs * taps; ++k) {
      const std::int64_t i = k / taps, row = y * g.stride + k % taps / c.kernel * g.dilation - g.pad,
                         column = x * g.stride + k % c.kernel * g.dilation - g.pad;
      if (row < 0 || row >= c.height || column < 0 || column >= c.width) continue;
      sum += static_cast<std::int64_t>(levels_[at((o * c.inputs + i) * taps + k % taps)]) *
             src_[at(problem_.product.src.offset(n, i, row, column))];
    }
    const TensorDesc& dst = problem_.product.dst;
    double value = static_cast<double>(sum) * static_cast<double>(scale_[at(o)]) + static_cast<double>(shift_[at(o)]);
    const double unit = c.to_bytes ? static_cast<double>(dst.scale) : 1.0;
    if (c.adds && c.adds_bytes) value += 0.25 * addend_bytes_[element] / unit;
    if (c.adds && !c.adds_bytes) value = (value + static_cast<double>(addend_[element])) / unit;
    const Epilogue& e = problem_.product.epilogue;
    value = std::min(std::max(value, static_cast<double>(e.low)), static_cast<double>(e.high));
    return value * static_cast<double>(outputs_[factor_of(element)]);
  }

  ByteCase case_;
  Int8OpenConvolution::Problem problem_;
  Random random_;
  std::vector<std::uint8_t> src_, addend_bytes_;
  Floats levels_, scale_, shift_, addend_, inputs_, outputs_;
};

class Int8OpenConvolutionTest : public KernelTest {
 protected:
  static void expect(const ByteCase& c) {
    const ByteData data(c);
    ASSERT_TRUE(Int8OpenConvolution::fits(data.problem())) << to_string(c);
    const Floats got = data.run(GetParam());
    EXPECT_EQ(data.compare(got), "");
    EXPECT_EQ(got, data.run_dense(GetParam())) << "other bits than with everything computed: " << to_string(c);
  }
};

TEST_P(Int8OpenConvolutionTest, EveryShareOfOpenChannels) {
  for (const double inputs : {0.0, 0.2, 0.5, 1.0, 2.0}) {
    for (const double outputs : {0.0, 0.2, 0.5, 1.0, 2.0}) {
      ByteCase c;
      c.open_inputs = inputs;
      c.open_outputs = outputs;
      expect(c);
    }
  }
}

TEST_P(Int8OpenConvolutionTest, EverySize) {
  const std::int64_t sizes[][5] = {{1, 16, 16, 1, 1},  {2, 16, 32, 3, 5},  {5, 64, 16, 8, 8},
                                   {1, 16, 16, 5, 70}, {1, 16, 16, 70, 3}, {2, 80, 48, 4, 16}};
  for (const auto& size : sizes) {
    for (const auto& [open_inputs, open_outputs] : {std::pair{0.4, 2.0}, {2.0, 0.4}, {2.0, 2.0}}) {
      ByteCase c;
      c.images = size[0];
      c.inputs = size[1];
      c.outputs = size[2];
      c.height = size[3];
      c.width = size[4];
      c.open_inputs = open_inputs;
      c.open_outputs = open_outputs;
      expect(c);
    }
  }
}

TEST_P(Int8OpenConvolutionTest, EveryGeometry) {
  const std::int64_t geometries[][4] = {{3, 2, 1, 1}, {1, 1, 0, 1}, {1, 2, 0, 1}, {5, 1, 2, 1}, {3, 1, 2, 2},
                                        {2, 3, 0, 1}, {3, 2, 0, 3}, {3, 1, 1, 1}, {1, 1, 9, 1}};
  for (const auto& geometry : geometries) {
    ByteCase c;
    c.kernel = geometry[0];
    c.stride = geometry[1];
    c.pad = geometry[2];
    c.dilation = geometry[3];
    c.open_inputs = c.open_outputs = 0.5;
    expect(c);
    c.open_outputs = 2;
    c.adds = true;
    c.height = 19;
    c.width = 23;
    expect(c);
    c.open_inputs = 2;
    expect(c);
  }
}

TEST_P(Int8OpenConvolutionTest, EveryEnding) {
  for (int bits = 0; bits < 32; ++bits) {
    ByteCase c;
    c.open_inputs = (bits & 16) != 0 ? 2.0 : 0.4;
    c.to_bytes = (bits & 1) != 0;
    c.adds = (bits & 2) != 0;
    c.adds_bytes = c.adds && (bits & 4) != 0;
    c.low = (bits & 8) != 0 ? 0.0F : -kInfinity;
    c.high = (bits & 8) != 0 ? 1.5F : kInfinity;
    expect(c);
  }
}

TEST_P(Int8OpenConvolutionTest, LargestSums) {
  ByteCase c;
  c.inputs = 512;
  c.outputs = 16;
  c.height = c.width = 3;
  c.extreme = true;
  c.open_inputs = 1;
  expect(c);
  c.open_inputs = 2;
  c.open_outputs = 1;
  expect(c);
  c.open_outputs = 2;
  expect(c);
}

TEST_P(Int8OpenConvolutionTest, GivesTheBitsOfTheDenseProduct) {
  for (const std::int64_t stride : {1, 2}) {
    for (const bool to_bytes : {false, true}) {
      ByteCase c;
      c.kernel = 1;
      c.pad = 0;
      c.stride = stride;
      c.to_bytes = to_bytes;
      c.open_inputs = 0.5;
      c.adds = true;
      const ByteData data(c);
      EXPECT_EQ(data.run(GetParam()), data.run_product(GetParam())) << to_string(c);
    }
  }
}

TEST_P(Int8OpenConvolutionTest, GivesTheSameBitsWithAnyThreads) {
  ByteCase c;
  c.height = c.width = 16;
  const int before = num_threads();
  for (const std::int64_t images : {1, 3}) {
    for (const auto& [open_inputs, open_outputs] : {std::pair{0.5, 2.0}, {2.0, 0.5}, {2.0, 2.0}}) {
      c.images = images;
      c.open_inputs = open_inputs;
      c.open_outputs = open_outputs;
      set_threads(1);
      const Floats one = ByteData(c).run(GetParam());
      for (const int threads : {2, 3, 5}) {
        set_threads(threads);
        EXPECT_EQ(ByteData(c).run(GetParam()), one) << threads << " threads";
      }
    }
  }
  set_threads(before);
}

INSTANTIATE_TEST_SUITE_P(Isa, Int8OpenConvolutionTest, all_isas(), isa_name);

TEST(Int8OpenConvolution, IsNotForOtherProblems) {
  ByteCase c;
  c.open_inputs = c.open_outputs = 0.5;
  const Int8OpenConvolution::Problem fits = problem_of(c);
  ASSERT_TRUE(Int8OpenConvolution::fits(fits));
  Int8OpenConvolution::Problem p = fits;
  p.product.geometry.groups = 2;
  EXPECT_FALSE(Int8OpenConvolution::fits(p));
  p = fits;
  p.product.src.shape = {3, 24, 7, 10};
  p.product.src.block = 24;
  EXPECT_FALSE(Int8OpenConvolution::fits(p));
  p = fits;
  p.product.src.block = 16;
  EXPECT_FALSE(Int8OpenConvolution::fits(p)) << "in blocks";
  p = fits;
  p.product.epilogue.adds = true;
  EXPECT_FALSE(Int8OpenConvolution::fits(p));
  p = fits;
  p.product.dst.type = DataType::kU8;
  EXPECT_FALSE(Int8OpenConvolution::fits(p));
  p.closes_outputs = false;
  EXPECT_TRUE(Int8OpenConvolution::fits(p));
}

}  // namespace
}  // namespace sluice
