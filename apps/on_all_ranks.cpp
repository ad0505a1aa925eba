#include "apps/on_all_ranks.hpp"

#include <exception>
#include <iostream>

#include "core/base/printable.hpp"
#include "core/base/signals.hpp"

namespace sluice {

int on_all_ranks(const char* program, Communicator& ranks, const std::function<int()>& work) {
  try {
    return work();
  } catch (const CommonError& error) {
    StopSignals::end_at_once(false);  // a launcher that sees one rank end signals the others
    if (ranks.is_root()) throw;
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    if (ranks.size() == 1) throw;
    std::cerr << program << ": " << rank_name(ranks.rank(), host_name()) << ": " << one_line(error.what()) << std::endl;
    const auto* const known = dynamic_cast<const Error*>(&error);
    const ExitCode code = known != nullptr ? known->code() : ExitCode::kInternal;
    ranks.abort(code);
    return static_cast<int>(code);
  }
}

}  // namespace sluice
