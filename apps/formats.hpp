// --csv, --json and --markdown of the programs that print tables.
#pragma once

#include <vector>

#include "core/config/command_line.hpp"
#include "core/report/records.hpp"

namespace sluice {

/// --csv and --markdown; programs describe their own --json.
std::vector<Flag> table_flags();

/// Which of --csv, --json and --markdown is given. Throws Error(kUsage) where two are.
RecordFormat format_of(const CommandLine& line);

/// To standard output, in the room that the terminal has.
void print_records(std::ostream& out, const Records& records, RecordFormat format);

}  // namespace sluice
