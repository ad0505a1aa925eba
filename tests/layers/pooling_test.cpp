// Max, average and adaptive pooling: geometry of every kind against the reference; ties, NaN and divisors by hand.
#include <cmath>
#include <limits>

#include "core/base/cpu.hpp"
#include "core/base/random.hpp"
#include "layers/kernels/pool_kernels.hpp"
#include "tests/layers/harness/layer_test.hpp"

namespace sluice {
namespace {

std::string pool(const std::string& type, const std::string& keys) {
  return "[layer.pool]\ntype = " + type + "\n" + keys;
}

std::vector<LayerCase> pooling_cases() {
  std::vector<LayerCase> cases;
  for (const char* name : {"max_pool", "average_pool"}) {
    const std::string type = name;
    const auto add = [&](const char* title, const Shape& shape, const std::string& keys) {
      cases.push_back({type, title, {{"x", shape}}, pool(type, keys)});
    };
    add("odd", {2, 3, 5, 7}, "kernel = 2");
    add("blocks", {2, 32, 6, 5}, "kernel = 2");
    add("overlap", {2, 5, 7, 8}, "kernel = 3\nstride = 2\npad = 1");
    add("overlap_blocks", {2, 48, 7, 5}, "kernel = 3\nstride = 2\npad = 1");
    add("every_pixel", {2, 18, 5, 4}, "kernel = 3\nstride = 1\npad = 1");
    add("gaps", {3, 17, 8, 9}, "kernel = 2\nstride = 3");
    add("ceil_mode", {2, 3, 6, 8}, "kernel = 3\nstride = 2\nceil_mode = yes");
    add("ceil_mode_pad", {2, 16, 6, 7}, "kernel = 3\nstride = 3\npad = 1\nceil_mode = yes");
    add("ceil_mode_no_room", {2, 3, 4, 5}, "kernel = 2\nstride = 4\npad = 1\nceil_mode = yes");
    add("wide_pad", {2, 4, 5, 3}, "kernel = 5\nstride = 2\npad = 4");
    add("whole_image", {2, 3, 4, 4}, "kernel = 4");
    add("one_pixel_windows", {2, 3, 4, 5}, "kernel = 1\nstride = 2");
    add("large", {2, 2, 19, 23}, "kernel = 18\nstride = 1\npad = 3");  // more taps than a byte counts
  }
  const std::string no_pad = "\ncount_include_pad = no";
  cases.push_back({"average_pool",
                   "real_pixels",
                   {{"x", {2, 5, 7, 8}}},
                   pool("average_pool", "kernel = 3\nstride = 2\npad = 1" + no_pad)});
  cases.push_back({"average_pool",
                   "real_pixels_ceil",
                   {{"x", {2, 32, 6, 7}}},
                   pool("average_pool", "kernel = 3\nstride = 3\npad = 1\nceil_mode = yes" + no_pad)});
  const auto adaptive = [&](const char* title, const Shape& shape, const char* size) {
    cases.push_back({"adaptive_average_pool", title, {{"x", shape}}, pool("adaptive_average_pool", size)});
  };
  adaptive("odd", {2, 3, 5, 7}, "size = 3");
  adaptive("blocks", {2, 32, 7, 11}, "size = 4");
  adaptive("divides", {2, 5, 6, 9}, "size = 3");
  adaptive("one", {2, 16, 5, 4}, "size = 1");
  adaptive("as_it_is", {2, 3, 4, 4}, "size = 4");
  adaptive("larger", {2, 16, 3, 2}, "size = 5");
  return cases;
}

std::vector<SemanticCase> pooling_semantics() {
  // Windows of equal values, where the first wins, and of two equal maxima.
  SemanticCase ties{"max_pool", "ties", {{"x", {1, 1, 2, 4}, false, {5, 5, -3, -1, 5, 5, -1, -2}}}, {}};
  ties.layers = pool("max_pool", "kernel = 2");
  ties.mode = Mode::kTraining;
  ties.shape = {1, 1, 1, 2};
  ties.result = {5, -1};
  ties.upstream = {1, 2};
  ties.gradients = {{"x/value", {1, 0, 0, 2, 0, 0, 0, 0}}};

  SemanticCase padding{"max_pool", "padding_never_wins", {{"x", {1, 1, 1, 2}, false, {-3, -7}}}, {}};
  padding.layers = pool("max_pool", "kernel = 3\nstride = 2\npad = 1");
  padding.mode = Mode::kTraining;
  padding.shape = {1, 1, 1, 1};
  padding.result = {-3};
  padding.upstream = {2};
  padding.gradients = {{"x/value", {2, 0}}};

  // 2x2 windows with stride 2 on 3 pixels, padded by 1: each corner window holds another number of real pixels.
  SemanticCase average{
      "average_pool", "counts_padding", {{"x", {1, 1, 3, 3}, false, {4, 8, 12, 16, 20, 24, 28, 32, 36}}}, {}};
  average.layers = pool("average_pool", "kernel = 2\npad = 1");
  average.mode = Mode::kTraining;
  average.shape = {1, 1, 2, 2};
  average.result = {1, 5, 11, 28};
  average.upstream = {4, 8, 12, 16};
  average.gradients = {{"x/value", {1, 2, 2, 3, 4, 4, 3, 4, 4}}};

  SemanticCase real = average;
  real.name = "real_pixels";
  real.layers += "\ncount_include_pad = no";
  real.result = {4, 10, 22, 28};
  real.gradients = {{"x/value", {4, 4, 4, 6, 4, 4, 6, 4, 4}}};

  // ceil_mode adds a second window that holds one pixel of the image and nothing that counts.
  SemanticCase ceil{"average_pool", "ceil_mode", {{"x", {1, 1, 1, 3}, false, {1, 3, 10}}}, {}};
  ceil.layers = pool("average_pool", "kernel = 1\nstride = 2\nceil_mode = yes");
  ceil.shape = {1, 1, 1, 2};
  ceil.result = {1, 10};
  SemanticCase ceil_2 = ceil;
  ceil_2.name = "ceil_mode_divisor";
  ceil_2.sources = {{"x", {1, 1, 3, 3}, false, {1, 2, 5, 3, 4, 7, 6, 8, 9}}};
  ceil_2.layers = pool("average_pool", "kernel = 2\nceil_mode = yes");
  ceil_2.shape = {1, 1, 2, 2};
  ceil_2.result = {2.5, 6, 7, 9};

  // Of five pixels, three windows: 0 and 1, 1 to 3, 3 and 4.
  SemanticCase adaptive{"adaptive_average_pool", "windows_overlap", {{"x", {1, 1, 1, 5}, false, {1, 3, 6, 9, 5}}}, {}};
  adaptive.layers = pool("adaptive_average_pool", "size = 3");
  adaptive.mode = Mode::kTraining;
  adaptive.shape = {1, 1, 3, 3};
  adaptive.result = {2, 6, 7, 2, 6, 7, 2, 6, 7};
  adaptive.upstream = {2, 3, 4, 0, 0, 0, 0, 0, 0};
  adaptive.gradients = {{"x/value", {1, 2, 1, 3, 2}}};
  return {ties, padding, average, real, ceil, ceil_2, adaptive};
}

INSTANTIATE_TEST_SUITE_P(Pooling, LayerCases, ::testing::ValuesIn(pooling_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Pooling, SemanticCases, ::testing::ValuesIn(pooling_semantics()), case_name);

/// One row of six pixels, pooled by twos, in one of the builds this processor can run.
template <class T>
void expect_limits(Isa isa, std::int64_t block) {
  const PoolSpan rows[] = {{0, 1}}, windows[] = {{0, 2}, {2, 4}, {4, 6}};
  const PoolSpan viewers[] = {{0, 1}, {0, 1}, {1, 2}, {1, 2}, {2, 3}, {2, 3}};
  PoolPlane plane;
  plane.src_width = 6;
  plane.dst_width = 3;
  plane.block = block;
  plane.kernel = plane.stride = 2;
  plane.src_rows = plane.dst_rows = rows;
  plane.src_columns = windows;
  plane.dst_columns = viewers;
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const float pixels[] = {nan, 3, 2, nan, -inf, -inf}, diffs[] = {1, 0, 0, 1, 1, 0};
  const auto pixel_of = [&](std::size_t i) { return i / static_cast<std::size_t>(block); };
  std::vector<T> src(static_cast<std::size_t>(6 * block)), dst(static_cast<std::size_t>(3 * block)), diff_src(src);
  for (std::size_t i = 0; i < src.size(); ++i) narrow(pixels[pixel_of(i)], src[i]);
  std::vector<std::uint8_t> taps(dst.size());
  const PoolKernels<T>& kernels = pool_kernels<T>(isa);
  kernels.max(plane, 0, src.data(), dst.data(), taps.data());
  for (std::size_t i = 0; i < dst.size(); ++i) {
    EXPECT_TRUE(pixel_of(i) == 2 ? widen(dst[i]) == -inf : std::isnan(widen(dst[i]))) << i;
  }
  std::vector<T> diff_dst(dst.size());
  for (T& value : diff_dst) narrow(1, value);
  kernels.max_backward(plane, 0, diff_dst.data(), taps.data(), diff_src.data());
  for (std::size_t i = 0; i < src.size(); ++i) EXPECT_EQ(widen(diff_src[i]), diffs[pixel_of(i)]) << i;
}

TEST(MaxPool, ANanWinsAndMinusInfinityIsAMaximum) {
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > cpu_isa()) continue;
    SCOPED_TRACE(to_string(isa));
    for (const std::int64_t block : {5, 16}) {
      expect_limits<float>(isa, block);
      expect_limits<BFloat16>(isa, block);
    }
  }
}

}  // namespace
}  // namespace sluice
