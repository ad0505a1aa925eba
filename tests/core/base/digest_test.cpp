// The digest is XXH3-128 in canonical order, and does not depend on how the bytes were cut.
#include "core/base/digest.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

namespace sluice {
namespace {

TEST(Digest, KnownAnswers) {
  // Printed by `xxhsum -H2`.
  EXPECT_EQ(digest_hex(nullptr, 0), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(digest_hex("sluice", 6), "adbab6796a85b84128d6b41d9413a19d");
}

TEST(Digest, CutsDoNotMatter) {
  std::vector<unsigned char> bytes(5000);
  std::iota(bytes.begin(), bytes.end(), static_cast<unsigned char>(3));
  const std::string whole = digest_hex(bytes.data(), 5000);
  for (std::int64_t cut : {0, 1, 239, 256, 1025, 4999, 5000}) {
    Digest digest;
    digest.update(bytes.data(), cut);
    digest.update(bytes.data() + cut, 5000 - cut);
    EXPECT_EQ(digest.hex(), whole) << "cut at " << cut;
  }
}

TEST(Digest, EveryBitCountsAndReadingDoesNotDisturb) {
  std::vector<unsigned char> bytes(300, 7);
  const std::string before = digest_hex(bytes.data(), 300);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= 0x10;
    ASSERT_NE(digest_hex(bytes.data(), 300), before) << "byte " << i;
    bytes[i] ^= 0x10;
  }
  Digest digest;
  digest.update(bytes.data(), 100);
  const std::string part = digest.hex();
  EXPECT_EQ(part, digest_hex(bytes.data(), 100));
  digest.update(bytes.data() + 100, 200);
  EXPECT_EQ(digest.hex(), before);
  EXPECT_EQ(digest.bytes()[0], std::stoi(before.substr(0, 2), nullptr, 16));
}

}  // namespace
}  // namespace sluice
