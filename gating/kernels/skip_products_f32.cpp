// Products over floats.
#include "gating/kernels/skip_dots_detail.hpp"
#include "gating/kernels/skip_vectors_detail.hpp"
#include "gating/kernels/tables.hpp"

namespace sluice::SLUICE_ISA {

extern const SkipProducts skip_products_f32 = {multiply<Floats>, dot<Floats>, finish_closed<Floats>,
                                               finish_open<Floats>};

}  // namespace sluice::SLUICE_ISA
