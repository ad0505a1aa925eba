// Which of oneDNN's kernel names mean its reference code.
#include <gtest/gtest.h>

#include "core/graph/layer.hpp"

namespace sluice {
namespace {

TEST(ReferenceKernel, IsRecognisedByItsName) {
  for (const char* name : {"ref:any", "ref", "ref_int8:any", "gemm:ref", "x64:gemm:ref", "jit:avx512_core ref:any",
                           "brgconv:avx512_core jit:avx512_core gemm:ref"}) {
    EXPECT_TRUE(is_reference_kernel(name)) << name;
  }
}

TEST(ReferenceKernel, OthersAreNot) {
  for (const char* name : {"", "sluice", "sluice:avx512", "jit:avx512_core", "brgconv:avx512_core_bf16", "gemm:jit",
                           "jit_dw:avx512_core jit_dw:avx512_core", "simple:any", "jit:prefer"}) {
    EXPECT_FALSE(is_reference_kernel(name)) << name;
  }
}

}  // namespace
}  // namespace sluice
