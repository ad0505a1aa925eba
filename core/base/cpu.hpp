// Which instruction sets the processor has, and which of our kernel builds runs on it.
#pragma once

#include <string>

namespace sluice {

/// Builds of our own kernels; each file of kernels is compiled once for each of these.
enum class Isa { kPortable, kAvx2, kAvx512 };

/// The best build this processor can run. SLUICE_MAX_ISA=portable|avx2|avx512 in the environment lowers it (read once;
/// an unknown value is an Error(kEnvironment)); avx512 is the first AVX-512, without VNNI, VBMI2 and bf16.
Isa cpu_isa();
/// "portable", "avx2", "avx512".
std::string to_string(Isa isa);
/// The processor computes bf16 natively (AVX512_BF16 or AMX); oneDNN emulates it elsewhere, slower than fp32.
bool cpu_has_bf16();
/// The processor adds four products of bytes in one instruction (AVX512_VNNI).
bool cpu_has_vnni();
/// The processor packs chosen words of a vector in one instruction (AVX512_VBMI2).
bool cpu_has_vbmi2();
/// "AMD EPYC ..., avx512, bf16, vnni" for logs and --version.
std::string cpu_description();

}  // namespace sluice
