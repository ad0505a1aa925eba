// The convolution of open channels in every build that this processor runs, against plain sums in double.
#include "layers/open_convolution.hpp"

#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "tests/layers/kernel_values.hpp"

namespace sluice {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct OpenCase {
  std::int64_t images = 2, inputs = 32, outputs = 48, height = 8, width = 7;
  std::int64_t kernel = 3, stride = 1, pad = 1, dilation = 1;
  double open_inputs = 2, open_outputs = 2;  ///< shares; above 1: these are not closed
  bool adds = false, bias = true, blocked = false, winograd = true;
  float low = -kInfinity, high = kInfinity;
};

std::string to_string(const OpenCase& c) {
  return concat(c.images, " x ", c.inputs, " x ", c.height, " x ", c.width, " to ", c.outputs, ", filter ", c.kernel,
                " / ", c.stride, " / ", c.pad, " / ", c.dilation, ", open ", c.open_inputs, " and ", c.open_outputs,
                c.adds ? ", adds" : "", c.blocked ? ", blocked" : "", c.winograd ? "" : ", direct");
}

OpenProblem problem_of(const OpenCase& c) {
  OpenProblem p;
  p.geometry.channels = c.outputs;
  p.geometry.kernel = c.kernel;
  p.geometry.stride = c.stride;
  p.geometry.pad = c.pad;
  p.geometry.dilation = c.dilation;
  p.src = {Shape{c.images, c.inputs, c.height, c.width}, DataType::kF32, c.blocked ? 16 : c.inputs};
  p.dst = {p.geometry.dst_shape(p.src.shape), DataType::kF32, c.blocked ? 16 : c.outputs};
  p.closes_inputs = c.open_inputs <= 1;
  p.closes_outputs = c.open_outputs <= 1;
  p.adds = c.adds;
  p.allow_winograd = c.winograd;
  p.low = c.low;
  p.high = c.high;
  return p;
}

class OpenData {
 public:
  explicit OpenData(const OpenCase& c) : case_(c), problem_(problem_of(c)), random_(7, Purpose::kTest) {
    src_ = normal(problem_.src.count());
    dst_ = normal(problem_.dst.count());
    weights_ = normal(c.outputs * c.inputs * c.kernel * c.kernel);
    bias_ = normal(c.outputs);
    inputs_ = factors(c.images * c.inputs, c.open_inputs);
    outputs_ = factors(c.images * c.outputs, c.open_outputs);
    for_each(problem_.src, [&](std::int64_t n, std::int64_t i, std::int64_t, std::int64_t, std::size_t at) {
      src_[at] *= inputs_[static_cast<std::size_t>(n * c.inputs + i)];
    });
  }

  const OpenProblem& problem() const { return problem_; }

  std::vector<float> run(Isa isa) const {
    const OpenProblem& p = problem_;
    OpenConvolution convolution(p, isa);
    SlotBook book;
    convolution.book(book, book.scratch(), book.scratch());
    const OwnMemory memory(book);
    convolution.pack(memory.memory(), weights_.data());
    std::vector<float> dst = dst_;
    for (int pass = 0; pass < 2; ++pass) {  // what a run leaves behind is no matter to the next
      dst = dst_;
      convolution.run(memory.memory(), src_.data(),
                      {p.closes_inputs ? inputs_.data() : nullptr, p.closes_outputs ? outputs_.data() : nullptr},
                      case_.bias ? bias_.data() : nullptr, dst.data());
    }
    return dst;
  }

  /// What is wrong with a result, or nothing.
  std::string compare(const std::vector<float>& got) const {
    std::string wrong;
    const double sum = std::sqrt(static_cast<double>(case_.inputs * case_.kernel * case_.kernel));  // its deviation
    for_each(problem_.dst, [&](std::int64_t n, std::int64_t o, std::int64_t y, std::int64_t x, std::size_t at) {
      const double want = expected(n, o, y, x, at), value = value_of(got[at]);
      if (std::abs(value - want) <= 1e-5 * sum || !wrong.empty()) return;
      wrong = concat(to_string(case_), ": ", value, " instead of ", want, " at ", n, ", ", o, ", ", y, ", ", x);
    });
    return wrong;
  }

 private:
  std::vector<float> normal(std::int64_t count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = static_cast<float>(random_.normal());
    return values;
  }
  std::vector<float> factors(std::int64_t count, double open) {
    std::vector<float> values(static_cast<std::size_t>(count), 1.0F);
    if (open > 1) return values;
    for (float& value : values) value = random_.uniform() < open ? static_cast<float>(0.5 + random_.uniform()) : 0.0F;
    return values;
  }
  /// Calls visit(image, channel, row, column, element).
  template <class Visit>
  static void for_each(const TensorDesc& t, Visit&& visit) {
    const Shape& s = t.shape;
    for (std::int64_t i = 0; i < s.count(); ++i) {
      const std::int64_t x = i % s[kW], y = i / s[kW] % s[kH], c = i / s[kW] / s[kH] % s[kC],
                         n = i / s[kW] / s[kH] / s[kC];
      visit(n, c, y, x, static_cast<std::size_t>(t.offset(n, c, y, x)));
    }
  }
  double expected(std::int64_t n, std::int64_t o, std::int64_t y, std::int64_t x, std::size_t at) const {
    const OpenCase& c = case_;
    const std::int64_t taps = c.kernel * c.kernel;
    double sum = case_.bias ? value_of(bias_[static_cast<std::size_t>(o)]) : 0.0;
    for (std::int64_t k = 0; k < c.inputs * taps; ++k) {
      const std::int64_t i = k / taps, row = y * c.stride + k % taps / c.kernel * c.dilation - c.pad,
                         column = x * c.stride + k % c.kernel * c.dilation - c.pad;
      if (row < 0 || row >= c.height || column < 0 || column >= c.width) continue;
      sum += value_of(weights_[static_cast<std::size_t>((o * c.inputs + i) * taps + k % taps)]) *
             value_of(src_[static_cast<std::size_t>(problem_.src.offset(n, i, row, column))]);
    }
    if (c.adds) sum += value_of(dst_[at]);
    const double clipped = std::min(std::max(sum, value_of(c.low)), value_of(c.high));
    return clipped * value_of(outputs_[static_cast<std::size_t>(n * c.outputs + o)]);
  }

  OpenCase case_;
  OpenProblem problem_;
  Random random_;
  std::vector<float> src_, dst_, weights_, bias_, inputs_, outputs_;
};

class OpenConvolutionTest : public KernelTest {
 protected:
  static void expect(OpenCase c) {
    for (const bool winograd : {false, true}) {
      c.winograd = winograd;
      c.blocked = !c.blocked;
      const OpenData data(c);
      ASSERT_TRUE(OpenConvolution::fits(data.problem())) << to_string(c);
      EXPECT_EQ(data.compare(data.run(GetParam())), "");
    }
  }
};

TEST_P(OpenConvolutionTest, EveryShareOfOpenChannels) {
  for (const double inputs : {0.0, 0.2, 0.5, 1.0, 2.0}) {
    for (const double outputs : {0.0, 0.2, 0.5, 1.0, 2.0}) {
      OpenCase c;
      c.open_inputs = inputs;
      c.open_outputs = outputs;
      expect(c);
    }
  }
}

TEST_P(OpenConvolutionTest, EverySize) {
  const std::int64_t sizes[][5] = {{1, 16, 16, 1, 1},  {2, 16, 32, 3, 5},  {5, 64, 16, 8, 8},
                                   {1, 16, 16, 5, 70}, {1, 16, 16, 70, 3}, {2, 80, 48, 4, 16}};
  for (const auto& size : sizes) {
    for (const bool outputs : {false, true}) {
      OpenCase c;
      c.images = size[0];
      c.inputs = size[1];
      c.outputs = size[2];
      c.height = size[3];
      c.width = size[4];
      (outputs ? c.open_outputs : c.open_inputs) = 0.4;
      expect(c);
    }
  }
}

TEST_P(OpenConvolutionTest, EveryGeometry) {
  const std::int64_t geometries[][4] = {{3, 2, 1, 1}, {1, 1, 0, 1}, {1, 2, 0, 1}, {5, 1, 2, 1},
                                        {3, 1, 2, 2}, {2, 3, 0, 1}, {3, 2, 0, 3}, {3, 1, 1, 1}};
  for (const auto& geometry : geometries) {
    OpenCase c;
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
  }
}

TEST_P(OpenConvolutionTest, EveryEnding) {
  OpenCase c;
  c.open_inputs = 0.4;
  c.low = 0;
  expect(c);
  c.high = 1.5F;
  c.adds = true;
  expect(c);
  c.bias = false;
  expect(c);
  c.adds = false;
  c.open_outputs = 0.4;
  expect(c);
}

TEST_P(OpenConvolutionTest, GivesTheSameBitsWithAnyThreads) {
  OpenCase c;
  c.images = 1;
  c.height = c.width = 16;
  c.open_inputs = 0.5;
  const int before = num_threads();
  for (const int way : {0, 1, 2, 3}) {
    c.open_outputs = way % 2 == 0 ? 2.0 : 0.5;
    c.winograd = way < 2;
    set_threads(1);
    const std::vector<float> one = OpenData(c).run(GetParam());
    for (const int threads : {2, 3, 5}) {
      set_threads(threads);
      EXPECT_EQ(OpenData(c).run(GetParam()), one) << threads << " threads";
    }
  }
  set_threads(before);
}

INSTANTIATE_TEST_SUITE_P(Isa, OpenConvolutionTest, all_isas(), isa_name);

TEST(OpenConvolution, IsNotForOtherProblems) {
  const OpenProblem fits = problem_of({});
  ASSERT_TRUE(OpenConvolution::fits(fits));
  OpenProblem p = fits;
  p.geometry.groups = 2;
  EXPECT_FALSE(OpenConvolution::fits(p));
  p = fits;
  p.src.shape = {3, 24, 7, 10};
  p.src.block = 24;
  EXPECT_FALSE(OpenConvolution::fits(p));
  p = fits;
  p.closes_outputs = p.adds = true;
  EXPECT_FALSE(OpenConvolution::fits(p));
}

}  // namespace
}  // namespace sluice
