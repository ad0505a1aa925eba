// Products over bytes: built once more for processors that multiply and add them in one instruction.
#include "gating/kernels/skip_dots_detail.hpp"
#include "gating/kernels/skip_vectors_detail.hpp"
#include "gating/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {

extern const SkipProducts skip_products_bytes = {multiply<Bytes>, dot<Bytes>, finish_closed<Bytes>, finish_open<Bytes>};

}  // namespace sluice::SLUICE_ISA
