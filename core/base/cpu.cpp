#include "core/base/cpu.hpp"

#ifdef __x86_64__
#include <cpuid.h>
#endif

#include <cstdlib>
#include <cstring>

#include "core/base/error.hpp"

namespace sluice {
namespace {

#ifdef __x86_64__
// Leaf 7, subleaf 1, EAX bit 5: AVX512_BF16. GCC's __builtin_cpu_supports does not know it in every version.
bool cpuid_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1U << 5)) != 0;
}

Isa detect() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return Isa::kAvx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    return Isa::kAvx2;
  return Isa::kPortable;
}

bool has_vnni() {
  return __builtin_cpu_supports("avx512vnni");
}
bool has_vbmi2() {
  return __builtin_cpu_supports("avx512vbmi2");
}

std::string brand() {
  char text[49] = {};
  unsigned registers[12] = {};
  for (unsigned i = 0; i < 3; ++i) {
    unsigned* const words = registers + 4 * i;
    if (__get_cpuid(0x80000002U + i, words, words + 1, words + 2, words + 3) == 0) return "CPU";
  }
  std::memcpy(text, registers, 48);
  return text;
}
#else
bool cpuid_bf16() {
  return false;
}
Isa detect() {
  return Isa::kPortable;
}
bool has_vnni() {
  return false;
}
bool has_vbmi2() {
  return false;
}
std::string brand() {
  return "CPU";
}
#endif

/// What the environment allows; empty: everything.
std::string isa_limit() {
  const char* limit = std::getenv("SLUICE_MAX_ISA");
  return limit == nullptr ? "" : limit;
}

Isa lowered(Isa found) {
  const std::string limit = isa_limit();
  if (limit.empty()) return found;
  for (Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (to_string(isa) == limit) return isa < found ? isa : found;
  }
  throw Error(ExitCode::kEnvironment,
              concat("SLUICE_MAX_ISA: expected portable, avx2 or avx512, got '", limit, "'; correct or unset it"));
}

/// Whether what came after the first AVX-512 may be used.
bool may_extend_avx512() {
  static const bool may = cpu_isa() == Isa::kAvx512 && isa_limit().empty();
  return may;
}

}  // namespace

Isa cpu_isa() {
  static const Isa isa = lowered(detect());
  return isa;
}

std::string to_string(Isa isa) {
  switch (isa) {
    case Isa::kPortable:
      return "portable";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
  }
  return "unknown";
}

bool cpu_has_bf16() {
  return may_extend_avx512() && cpuid_bf16();
}

bool cpu_has_vnni() {
  return may_extend_avx512() && has_vnni();
}

bool cpu_has_vbmi2() {
  return may_extend_avx512() && has_vbmi2();
}

std::string cpu_description() {
  std::string text = brand() + ", " + to_string(cpu_isa());
  if (cpu_has_bf16()) text += ", bf16";
  if (cpu_has_vnni()) text += ", vnni";
  return text;
}

}  // namespace sluice
