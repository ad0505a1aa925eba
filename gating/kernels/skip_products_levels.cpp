// Products over levels in 16 bits: built once more for processors that multiply and add them in one instruction.
#include "gating/kernels/skip_dots_detail.hpp"
#include "gating/kernels/skip_vectors_detail.hpp"
#include "gating/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {

extern const SkipProducts skip_products_levels = {multiply<Levels>, dot<Levels>, finish_closed<Levels>,
                                                  finish_open<Levels>};

}  // namespace sluice::SLUICE_ISA
