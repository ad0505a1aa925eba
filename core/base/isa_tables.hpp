// Chooses among the builds of a kernel table. For the files that hand out tables.
#pragma once

#include "core/base/cpu.hpp"

namespace sluice::detail {

template <class Table>
const Table& choose_table(Isa isa, const Table& portable, const Table& avx2, const Table& avx512) {
  switch (isa) {
    case Isa::kPortable:
      return portable;
    case Isa::kAvx2:
      return avx2;
    case Isa::kAvx512:
      return avx512;
  }
  return portable;
}

}  // namespace sluice::detail

/// The build of `table` for an instruction set; to be used inside namespace sluice.
#ifdef __x86_64__
#define SLUICE_CHOOSE(isa, table) detail::choose_table(isa, portable::table, avx2::table, avx512::table)
#else
#define SLUICE_CHOOSE(isa, table) detail::choose_table(isa, portable::table, portable::table, portable::table)
#endif
