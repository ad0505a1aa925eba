// The convolution that skips in every build that this processor runs, against plain sums in double.
#include "gating/skip/skip_conv.hpp"

#include <gtest/gtest.h>

#include "core/base/parallel.hpp"
#include "gating/skip/skip_tiling.hpp"
#include "tests/gating/skip_problem.hpp"
#include "tests/layers/kernel_values.hpp"

namespace sluice {
namespace {

constexpr int kNever = SkipProblem::kNever;
constexpr int kWays[] = {kNever, 4, 1, 0};

class SkipConvTest : public KernelTest {
 protected:
  /// Of floats and of int8.
  void expect(SkipCase c) {
    for (bool int8 : {false, true}) {
      c.int8 = int8;
      expect_one(c);
    }
  }
  void expect_one(const SkipCase& c) {
    const SkipData data(c);
    EXPECT_EQ(data.compare(SkipConv(data.problem(), GetParam())), "");
  }
  /// In blocks of 16 channels, where they fit.
  void expect_blocked(SkipCase c) {
    if (c.inputs % 16 != 0 || c.outputs % 16 != 0) return;
    c.src_block = c.dst_block = 16;
    expect_one(c);
  }
  void expect_all_ways(SkipCase c) {
    for (bool int8 : {false, true}) {
      c.int8 = int8;
      SkipData data(c);
      for (int from : kWays) {
        data.set_lanes_from(from);
        EXPECT_EQ(data.compare(SkipConv(data.problem(), GetParam())), "");
      }
      if (int8) continue;
      data.set_lanes_from(SkipProblem::kGiven);
      EXPECT_EQ(data.compare(SkipConv(data.problem(), GetParam())), "");
    }
  }
  /// Of all ways, and of one that writes plain floats.
  void expect_same_weights(SkipCase c) {
    const bool shared = c.granularity != Granularity::kElement;
    const std::vector<char> first = packed(c, 1);
    for (int from : {shared ? 1 : kNever, shared ? 1 : 8, 0, SkipProblem::kGiven}) {
      EXPECT_EQ(packed(c, from), first) << to_string(c) << ", from " << from;
    }
    c.adds = c.clips = false;
    c.dst_type = DataType::kF32;
    EXPECT_EQ(packed(c, 0), first) << to_string(c);
  }

 private:
  static std::vector<char> packed(const SkipCase& c, int from) {
    SkipData data(c);
    data.set_lanes_from(from);
    SkipConv conv(data.problem(), GetParam());
    SlotBook book;
    conv.book(book.scratch(), book.scratch());
    std::vector<float> packed(static_cast<std::size_t>(conv.packed_count()));
    conv.pack(OwnMemory(book).memory(), data.weights().data(), packed.data());
    const char* const bytes = reinterpret_cast<const char*>(packed.data());  // weights in int8 are no floats
    return {bytes, bytes + packed.size() * sizeof(float)};
  }
};

SkipCase sizes(std::int64_t inputs, std::int64_t outputs, std::int64_t height, std::int64_t width) {
  SkipCase c;
  c.inputs = inputs;
  c.outputs = outputs;
  c.height = height;
  c.width = width;
  return c;
}

TEST_P(SkipConvTest, ChannelsOfEveryWidth) {
  for (std::int64_t channels : {16, 32, 64, 8, 48, 80}) expect_all_ways(sizes(channels, channels, 5, 9));
  for (std::int64_t channels : {16, 32, 64}) {
    SkipCase c = sizes(channels, channels, 4, 4);
    c.partitions = 8;
    expect_all_ways(c);
    c.partitions = 16;
    expect_all_ways(c);
    c.partitions = 2;
    expect_all_ways(c);
  }
}

TEST_P(SkipConvTest, UnequalAndOddWidths) {
  expect_all_ways(sizes(16, 32, 5, 8));
  expect_all_ways(sizes(32, 16, 5, 8));
  expect_all_ways(sizes(12, 20, 3, 10));
  expect_all_ways(sizes(4, 36, 3, 10));
  SkipCase c = sizes(13, 7, 6, 11);
  c.group = false;
  expect_all_ways(c);
  c = sizes(30, 31, 3, 3);
  c.group = false;
  c.partitions = 3;
  expect_all_ways(c);
  c = sizes(6, 1, 1, 1);
  c.group = false;
  c.partitions = 1;
  expect_all_ways(c);
}

TEST_P(SkipConvTest, WithoutGroups) {
  for (std::int64_t channels : {16, 32, 64}) {
    SkipCase c = sizes(channels, channels, 4, 17);
    c.group = false;
    expect_all_ways(c);
  }
}

TEST_P(SkipConvTest, Shuffles) {
  for (std::int64_t channels : {16, 32, 24}) {
    SkipCase c = sizes(channels, channels, 4, 9);
    c.shuffle = true;
    expect_all_ways(c);
    c.group = false;
    expect(c);
  }
}

/// Channels that are shuffled by whole vectors (SkipShape::shuffles), and some that are not: in 3 groups, or 12 in a
/// half.
TEST_P(SkipConvTest, ShufflesByVectors) {
  struct Groups {
    std::int64_t channels, partitions;
    int shuffles;  ///< -1: as many as the instruction set allows
  };
  for (const auto& [channels, partitions, shuffles] :
       {Groups{32, 2, 1}, Groups{64, 8, 3}, Groups{96, 4, 2}, Groups{96, 3, 0}, Groups{24, 2, -1}}) {
    SkipCase c = sizes(channels, 48, 3, 7);
    c.shuffle = true;
    c.partitions = partitions;
    for (DataType type : {DataType::kF32, DataType::kBF16, DataType::kU8}) {
      c.src_type = c.dst_type = type;
      c.int8 = type == DataType::kU8;
      if (shuffles >= 0) {
        EXPECT_EQ(SkipTiling(SkipData(c).problem(), GetParam()).shape.shuffles, shuffles);
      }
      expect_one(c);
      expect_blocked(c);
    }
    c.src_type = DataType::kF32;
    c.group = false;
    expect_one(c);
  }
}

TEST_P(SkipConvTest, Filters) {
  SkipCase c = sizes(16, 16, 9, 11);
  c.stride = 2;
  expect_all_ways(c);
  c = sizes(16, 32, 8, 8);
  c.kernel = 1;
  c.pad = 0;
  expect_all_ways(c);
  c.stride = 2;
  expect_all_ways(c);
  c = sizes(16, 24, 7, 9);
  c.kernel = 5;
  c.pad = 2;
  expect_all_ways(c);
  c.pad = 0;
  expect_all_ways(c);
  c = sizes(32, 16, 7, 12);
  c.dilation = 2;
  c.pad = 2;
  expect_all_ways(c);
  c = sizes(8, 8, 6, 10);
  c.pad = 3;
  expect_all_ways(c);
  c.kernel = 2;
  c.stride = 3;
  c.pad = 1;
  expect_all_ways(c);
}

TEST_P(SkipConvTest, EveryDensity) {
  for (double density : {0.0, 0.02, 0.1, 0.5, 0.8, 1.0}) {
    SkipCase c = sizes(32, 32, 9, 8);
    c.density = density;
    expect_all_ways(c);
  }
}

TEST_P(SkipConvTest, SharedDecisions) {
  for (Granularity granularity : {Granularity::kSlice, Granularity::kPixel}) {
    for (std::int64_t channels : {16, 40, 64}) {
      SkipCase c = sizes(channels, channels, 5, 8);
      c.granularity = granularity;
      expect_all_ways(c);
      c.density = 0;
      expect(c);
      c.density = 1;
      expect(c);
    }
    SkipCase c = sizes(9, 21, 4, 5);
    c.group = false;
    c.granularity = granularity;
    expect_all_ways(c);
  }
}

TEST_P(SkipConvTest, Endings) {
  for (bool norms : {false, true}) {
    for (bool in_place : {false, true}) {
      SkipCase c = sizes(16, 24, 4, 9);
      c.norms = norms;
      c.adds = true;
      c.in_place = in_place;
      expect_all_ways(c);
      c.clips = true;
      expect(c);
      c.adds = c.in_place = false;
      expect(c);
    }
  }
}

TEST_P(SkipConvTest, LayoutsAndTypes) {
  for (bool narrow_src : {false, true}) {
    for (bool narrow_dst : {false, true}) {
      SkipCase c = sizes(32, 48, 5, 9);
      c.src_type = narrow_src ? DataType::kBF16 : DataType::kF32;
      c.dst_type = narrow_dst ? DataType::kBF16 : DataType::kF32;
      c.adds = c.norms = true;
      expect(c);
      c.src_block = 16;
      expect(c);
      c.dst_block = 16;
      expect_all_ways(c);
      c.shuffle = true;
      expect(c);
      c = sizes(12, 20, 4, 5);
      c.src_type = narrow_src ? DataType::kBF16 : DataType::kF32;
      c.dst_type = narrow_dst ? DataType::kBF16 : DataType::kF32;
      expect(c);
    }
  }
}

/// Sources in int8 and in floats, products of int8 and of floats, results and addends in both.
TEST_P(SkipConvTest, Int8InAndOut) {
  for (SkipCase c : {sizes(32, 48, 5, 9), sizes(12, 20, 4, 5), sizes(16, 16, 6, 8)}) {
    c.norms = c.clips = true;
    for (int bits = 0; bits < 16; ++bits) {
      c.int8 = (bits & 1) != 0;
      c.src_type = (bits & 2) != 0 ? DataType::kU8 : DataType::kF32;
      c.dst_type = (bits & 4) != 0 ? DataType::kU8 : DataType::kF32;
      c.addend_type = (bits & 8) != 0 ? DataType::kU8 : DataType::kF32;
      if (c.src_type == DataType::kU8 && !c.int8) continue;
      c.adds = false;
      expect_one(c);
      c.adds = true;
      c.in_place = c.addend_type == c.dst_type;
      for (int from : kWays) {
        SkipCase way = c;
        way.lanes_from = from;
        expect_one(way);
      }
      SkipCase shared = c;
      shared.shuffle = true;
      shared.granularity = Granularity::kSlice;
      shared.lanes_from = 1;
      expect_one(shared);
      expect_blocked(c);
    }
  }
}

/// From int8 to int8 and from floats to floats, where results need no sums (SkipTiling::direct), and where they do.
TEST_P(SkipConvTest, AtOnce) {
  SkipCase free = sizes(16, 32, 4, 9), pointwise = sizes(32, 16, 6, 8), many = sizes(16, 16, 4, 8),
           tall = sizes(16, 16, 41, 32), wide = sizes(144, 16, 3, 8), whole = sizes(64, 64, 4, 8);
  free.group = false;
  pointwise.kernel = 1;
  pointwise.pad = 0;
  pointwise.stride = 2;
  many.images = 37;
  whole.partitions = 1;
  for (SkipCase c : {sizes(16, 16, 6, 8), sizes(32, 32, 5, 9), sizes(64, 64, 8, 8), sizes(8, 16, 5, 7),
                     sizes(16, 24, 5, 7), free, pointwise, many, tall, wide, whole}) {
    c.norms = c.clips = true;
    for (double density : {0.0, 0.1, 0.6, 1.0}) {
      c.density = density;
      for (int form = 0; form < 6; ++form) {
        c.int8 = form % 2 == 0;
        c.src_type = c.dst_type = c.int8 ? DataType::kU8 : DataType::kF32;
        c.adds = form > 1;
        c.in_place = form > 3;
        expect_one(c);
        expect_blocked(c);
      }
    }
  }
}

/// Results that do not fit the caches, and go past them where they are whole cache lines.
TEST_P(SkipConvTest, LargeResults) {
  SkipCase c = sizes(16, 64, 64, 64);
  c.images = 13;
  c.kernel = 1;
  c.pad = 0;
  c.lanes_from = 1;
  expect_one(c);
  c.adds = c.clips = c.norms = true;
  expect_one(c);
  c.src_block = c.dst_block = 16;
  c.in_place = true;
  expect_one(c);
}

class Threads {
 public:
  explicit Threads(int count) : before_(num_threads()) { set_threads(count); }
  ~Threads() { set_threads(before_); }

 private:
  int before_;
};

/// Cases whose base products come from Winograd's kernels, unless the build has none.
class SkipWinogradTest : public SkipConvTest {
 protected:
  void expect_winograd(SkipCase c, bool wanted = true) {
    const SkipConv conv(SkipData(c).problem(), GetParam());
    EXPECT_EQ(conv.kernel().find(":wino") != std::string::npos, wanted && GetParam() != Isa::kPortable) << to_string(c);
    expect_all_ways(c);
  }
};

TEST_P(SkipWinogradTest, Widths) {
  for (std::int64_t channels : {32, 64, 128}) expect_winograd(sizes(channels, channels, 8, 8));
  expect_winograd(sizes(64, 128, 8, 8));
  expect_winograd(sizes(128, 64, 8, 8));
  expect_winograd(sizes(96, 96, 8, 8));  // blocks of outputs that share blocks of sources with their neighbours
  expect_winograd(sizes(32, 64, 8, 8));
  expect_winograd(sizes(64, 32, 8, 8));
  SkipCase many = sizes(64, 1040, 8, 8);  // more outputs than a mask of blocks has places
  many.group = false;
  expect_winograd(many);
  for (std::int64_t partitions : {1, 2, 8}) {
    SkipCase c = sizes(64, 64, 8, 8);
    c.partitions = partitions;
    expect_winograd(c);
  }
  expect_winograd(sizes(32, 32, 15, 5), false);  // rows and columns that tiles would leave empty
  expect_winograd(sizes(16, 16, 8, 8), false);
  SkipCase c = sizes(64, 64, 8, 8);
  c.stride = 2;
  expect_winograd(c, false);
  c.stride = 1;
  c.allow_winograd = false;
  expect_winograd(c, false);
}

TEST_P(SkipWinogradTest, WithoutGroupsAndShuffled) {
  for (std::int64_t channels : {64, 128}) {
    SkipCase c = sizes(channels, channels, 8, 12);
    c.shuffle = true;
    expect_winograd(c);
    c.group = false;
    expect_winograd(c);
    c.shuffle = false;
    expect_winograd(c);
  }
}

TEST_P(SkipWinogradTest, ImagesOfEverySize) {
  for (std::int64_t channels : {32, 64}) {
    for (std::int64_t height : {7, 12}) {
      SkipCase c = sizes(channels, channels, height, 20 - height);
      c.images = 3;
      expect_winograd(c);
      c.images = 1;
      c.density = 1;
      expect_all_ways(c);
    }
    SkipCase c = sizes(channels, channels, 4, 4);
    c.images = 19;
    expect_winograd(c);
  }
}

TEST_P(SkipWinogradTest, TilesOfSomeRows) {
  for (std::int64_t height : {9, 14}) {
    SkipCase c = sizes(64, 64, height, 32);
    c.images = 1;
    expect_winograd(c);
  }
  SkipCase c = sizes(32, 32, 18, 32);
  c.images = 1;
  expect_winograd(c);
}

TEST_P(SkipWinogradTest, Threads) {
  for (int count : {2, 3, 5}) {
    const Threads threads(count);
    for (std::int64_t outputs : {64, 128}) {
      SkipCase c = sizes(64, outputs, 8, 8);
      c.images = 1;
      expect_winograd(c);
    }
  }
}

TEST_P(SkipWinogradTest, LayoutsTypesAndDecisions) {
  for (Granularity granularity : {Granularity::kElement, Granularity::kSlice, Granularity::kPixel}) {
    SkipCase c = sizes(64, 64, 8, 8);
    c.granularity = granularity;
    c.adds = c.norms = c.clips = true;
    expect_winograd(c);
    c.src_block = c.dst_block = 16;
    expect_winograd(c);
    c.src_type = c.dst_type = DataType::kBF16;
    expect_winograd(c);
    c = sizes(96, 96, 8, 8);
    c.partitions = 2;
    c.granularity = granularity;
    c.src_type = c.dst_type = DataType::kBF16;
    expect_winograd(c);
  }
}

TEST_P(SkipConvTest, WaysShareTheirWeights) {
  for (Granularity granularity : {Granularity::kElement, Granularity::kSlice, Granularity::kPixel}) {
    for (std::int64_t channels : {16, 32, 64}) {
      for (bool int8 : {false, true}) {
        SkipCase c = sizes(channels, channels, 8, 8);
        c.granularity = granularity;
        c.int8 = int8;
        c.adds = c.clips = true;
        c.dst_type = DataType::kBF16;
        expect_same_weights(c);
      }
    }
  }
}

TEST_P(SkipConvTest, Ties) {
  SkipCase c = sizes(16, 16, 8, 8);
  c.integers = true;
  SkipData data(c);
  // Every channel has an output that is exactly its limit.
  for (std::int64_t o = 0; o < c.outputs; ++o)
    data.set_limit(o, static_cast<float>(data.base(static_cast<std::size_t>(o * 64 + 3 * o))));
  EXPECT_EQ(data.compare(SkipConv(data.problem(), GetParam())), "");
}

TEST_P(SkipConvTest, Threads) {
  for (int count : {1, 2, 3, 5}) {
    const Threads threads(count);
    SkipCase c = sizes(16, 16, 32, 32);
    c.images = 1;
    expect_all_ways(c);
    c = sizes(64, 64, 4, 4);
    c.images = 1;
    expect_all_ways(c);
    c.granularity = Granularity::kSlice;
    expect(c);
    c.granularity = Granularity::kPixel;
    expect(c);
    for (std::int64_t channels : {32, 64}) {
      c = sizes(channels, channels, 4, 4);
      c.images = 37;
      expect_all_ways(c);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, SkipConvTest, all_isas(), isa_name);
INSTANTIATE_TEST_SUITE_P(Isa, SkipWinogradTest, all_isas(), isa_name);

}  // namespace
}  // namespace sluice
