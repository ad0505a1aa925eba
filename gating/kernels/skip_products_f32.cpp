// Products of floats, for one instruction set.
#include "gating/kernels/skip_products_detail.hpp"
#include "gating/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {

extern const SkipProducts skip_products_f32 = kProducts<Floats>;

}  // namespace sluice::SLUICE_ISA
