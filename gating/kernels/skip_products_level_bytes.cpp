// Products over levels in bytes: built once more for processors that multiply and add them in one instruction.
#include "gating/kernels/skip_dots_detail.hpp"
#include "gating/kernels/skip_vectors_detail.hpp"
#include "gating/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {

extern const SkipProducts skip_products_level_bytes = {multiply<LevelBytes>, dot<LevelBytes>, finish_closed<LevelBytes>,
                                                       finish_open<LevelBytes>};

}  // namespace sluice::SLUICE_ISA
