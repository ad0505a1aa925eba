// Memory is zero at first, is there once it is written, and can be given back.
#include "core/base/buffer.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace sluice {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

/// Bytes of a buffer that are in memory.
std::int64_t resident(const Buffer& buffer) {
  const std::int64_t page = ::sysconf(_SC_PAGESIZE), pages = buffer.bytes() / page;
  std::vector<unsigned char> there(static_cast<std::size_t>(pages));
  EXPECT_EQ(::mincore(buffer.data(), static_cast<std::size_t>(buffer.bytes()), there.data()), 0);
  return page * std::count_if(there.begin(), there.end(), [](unsigned char each) { return (each & 1) != 0; });
}

bool is_zero(const Buffer& buffer, std::int64_t begin, std::int64_t end) {
  return std::all_of(buffer.at(begin), buffer.at(end), [](std::byte each) { return each == std::byte{0}; });
}

TEST(Buffer, IsZeroAndAligned) {
  for (const std::int64_t bytes : {std::int64_t{1}, std::int64_t{1000}, 2 * kMiB, 5 * kMiB + 3}) {
    const Buffer buffer(bytes);
    EXPECT_EQ(buffer.bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % Buffer::kAlignment, 0U) << bytes;
    EXPECT_TRUE(is_zero(buffer, 0, bytes)) << bytes;
  }
  EXPECT_EQ(Buffer(0).data(), nullptr);
}

TEST(Buffer, TakesMemoryWhenItIsWritten) {
  const Buffer buffer(64 * kMiB);
  EXPECT_EQ(resident(buffer), 0);
  std::fill_n(buffer.at(20 * kMiB), 10 * kMiB, std::byte{1});
  EXPECT_GE(resident(buffer), 10 * kMiB);
  EXPECT_LE(resident(buffer), 14 * kMiB);
}

TEST(Buffer, GivesBackWholePages) {
  Buffer buffer(10 * kMiB);
  const auto fill = [&] { std::fill_n(buffer.at(0), buffer.bytes(), std::byte{1}); };
  fill();
  buffer.give_back(buffer.bytes());
  EXPECT_EQ(resident(buffer), 10 * kMiB);
  buffer.give_back(5 * kMiB);
  EXPECT_EQ(resident(buffer), 6 * kMiB);
  EXPECT_EQ(*buffer.at(6 * kMiB - 1), std::byte{1});
  EXPECT_TRUE(is_zero(buffer, 6 * kMiB, 10 * kMiB));
  fill();
  EXPECT_EQ(resident(buffer), 10 * kMiB);
  buffer.give_back(0);
  EXPECT_EQ(resident(buffer), 0);
}

TEST(Buffer, KeepsWhatIsLessThanAPage) {
  Buffer buffer(1000);
  *buffer.at(7) = std::byte{1};
  buffer.give_back(0);
  EXPECT_EQ(*buffer.at(7), std::byte{1});
}

}  // namespace
}  // namespace sluice
