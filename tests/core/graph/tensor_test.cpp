// Layouts of activations, and copies between any two of them.
#include "core/graph/tensor.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "core/base/bfloat16.hpp"
#include "core/base/error.hpp"

namespace sluice {
namespace {

TEST(Tensor, OffsetsOfTheTwoLayouts) {
  const TensorDesc nhwc{{2, 32, 3, 5}, DataType::kF32, 32}, blocked{{2, 32, 3, 5}, DataType::kF32, 16};
  EXPECT_EQ(nhwc.offset(1, 17, 2, 4), ((1 * 3 + 2) * 5 + 4) * 32 + 17);
  EXPECT_EQ(blocked.offset(1, 17, 2, 4), (((1 * 2 + 1) * 3 + 2) * 5 + 4) * 16 + 1);
  EXPECT_EQ(nhwc.bytes(), 2 * 32 * 3 * 5 * 4);
  EXPECT_EQ((TensorDesc{{2, 3}, DataType::kBF16, 0}.bytes()), 12);
}

TEST(Tensor, EveryElementHasItsOwnPlace) {
  for (const std::int64_t block : {48, 16}) {
    const TensorDesc desc{{2, 48, 3, 2}, DataType::kF32, block};
    std::set<std::int64_t> places;
    for (std::int64_t n = 0; n < 2; ++n) {
      for (std::int64_t c = 0; c < 48; ++c) {
        for (std::int64_t h = 0; h < 3; ++h) {
          for (std::int64_t w = 0; w < 2; ++w) places.insert(desc.offset(n, c, h, w));
        }
      }
    }
    EXPECT_EQ(static_cast<std::int64_t>(places.size()), desc.count());
    EXPECT_EQ(*places.rbegin(), desc.count() - 1);
  }
}

std::vector<float> counting(std::int64_t count) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(i % 251));  // bf16 holds them exactly
  return values;
}

/// From plain values through both tensors and back.
void expect_round_trip(const TensorDesc& first, const TensorDesc& second) {
  SCOPED_TRACE(concat(to_string(first.shape), " ", to_string(first.type), " ", first.block, " to ",
                      to_string(second.type), " ", second.block));
  const std::vector<float> values = counting(first.count());
  std::vector<float> a(static_cast<std::size_t>(first.count())), b = a, back = a;
  from_nchw(values.data(), {first, a.data()});
  copy_activation({first, a.data()}, {second, b.data()});
  to_nchw({second, b.data()}, back.data());
  EXPECT_EQ(back, values);
}

TEST(Tensor, CopiesBetweenAllLayoutsAndTypes) {
  for (const DataType from : {DataType::kF32, DataType::kBF16}) {
    for (const DataType to : {DataType::kF32, DataType::kBF16}) {
      for (const std::int64_t a : {32, 16}) {
        for (const std::int64_t b : {32, 16}) expect_round_trip({{2, 32, 3, 5}, from, a}, {{2, 32, 3, 5}, to, b});
      }
      expect_round_trip({{2, 3, 5, 7}, from, 3}, {{2, 3, 5, 7}, to, 3});
      expect_round_trip({{3, 7}, from, 0}, {{3, 7}, to, 0});  // what is no activation has one layout
      expect_round_trip({{11}, from, 0}, {{11}, to, 0});
    }
  }
}

TEST(Tensor, FromPlainPutsEveryValueInItsPlace) {
  const std::vector<float> values = counting(2 * 32 * 3 * 5);
  std::vector<float> memory(values.size());
  const TensorDesc blocked{{2, 32, 3, 5}, DataType::kF32, 16};
  from_nchw(values.data(), {blocked, memory.data()});
  EXPECT_EQ(memory[static_cast<std::size_t>(blocked.offset(1, 20, 2, 3))],
            values[static_cast<std::size_t>(((1 * 32 + 20) * 3 + 2) * 5 + 3)]);
}

}  // namespace
}  // namespace sluice
