// Hands out the sign kernels that were built for an instruction set.
#include "gating/kernels/sign_tables.hpp"

#include "core/base/isa_tables.hpp"

namespace sluice {
namespace {

bool counts_words(Isa isa) {
#ifdef __x86_64__
  return isa == Isa::kAvx512 && __builtin_cpu_supports("avx512vpopcntdq") != 0;
#else
  return false;
#endif
}

}  // namespace

const SignKernels& sign_kernels(Isa isa) {
#ifdef __x86_64__
  if (counts_words(isa)) return avx512_vpopcntdq::signs;
#endif
  return SLUICE_CHOOSE(isa, signs);
}

std::string sign_kernel_name(Isa isa) {
  return "popcount:" + to_string(isa) + (counts_words(isa) ? "_vpopcntdq" : "");
}

}  // namespace sluice
