// XXH3-128 through libxxhash, in its canonical byte order.
#include "core/base/digest.hpp"

#include <xxhash.h>

#include <cstring>
#include <new>

namespace sluice {

struct Digest::State {
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  // The library's own allocation: the state must be aligned to 64 bytes.
  std::unique_ptr<XXH3_state_t, Free> xxh{XXH3_createState()};
};

Digest::Digest() : state_(std::make_unique<State>()) {
  if (!state_->xxh || XXH3_128bits_reset(state_->xxh.get()) != XXH_OK) throw std::bad_alloc();
}
Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

void Digest::update(const void* bytes, std::int64_t size) {
  if (size > 0) XXH3_128bits_update(state_->xxh.get(), bytes, static_cast<std::size_t>(size));
}

std::array<std::uint8_t, 16> Digest::bytes() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_->xxh.get()));
  std::array<std::uint8_t, 16> result;
  static_assert(sizeof canonical.digest == sizeof result);
  std::memcpy(result.data(), canonical.digest, sizeof result);
  return result;
}

std::string Digest::hex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::uint8_t byte : bytes()) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string digest_hex(const void* bytes, std::int64_t size) {
  Digest digest;
  digest.update(bytes, size);
  return digest.hex();
}

}  // namespace sluice
