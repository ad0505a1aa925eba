// Products over int8: built once more for processors that multiply and add them in one instruction.
#include "gating/kernels/skip_dots_detail.hpp"
#include "gating/kernels/skip_vectors_detail.hpp"
#include "gating/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {

extern const SkipProducts skip_products_int8 = {multiply<Int8>, dot<Int8>, finish_closed<Int8>, finish_open<Int8>};

}  // namespace sluice::SLUICE_ISA
