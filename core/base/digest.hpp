// Digests of byte ranges (XXH3, 128 bits): weight digests in logs, and the seal of a checkpoint file.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

namespace sluice {

/// A running XXH3-128 digest (seed 0). The result depends on the bytes only, not on how they were cut into updates.
/// It detects damage and tells runs apart; it is not cryptographic.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;

  void update(const void* bytes, std::int64_t size);
  /// The digest of all bytes so far, most significant byte first (the canonical form, the same on every machine).
  std::array<std::uint8_t, 16> bytes() const;
  /// The same as 32 lower-case hexadecimal digits, as `xxhsum -H2` prints it.
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Digest of one byte range as 32 hexadecimal digits.
std::string digest_hex(const void* bytes, std::int64_t size);

}  // namespace sluice
