// Rows of a table that somebody asked for, in an order that somebody asked for.
#pragma once

#include <string>

#include "core/report/records.hpp"

namespace sluice {

/// The column that `condition` is about: what stands before `=`, `!=`, `<`, `<=`, `>` or `>=`. Throws Error(kUsage),
/// named `where`, for anything else.
std::string column_of_condition(const std::string& condition, const std::string& where);

/// Keeps the rows for which "NAME=VALUE" holds, or another relation. By a column's name numbers are those of files; by
/// its title those that people see: a cost, seconds. A number may be written as 0.95, 95%, 10M or 1h30m. Throws
/// Error(kUsage), named `where`.
void filter_rows(Records& records, const std::string& condition, const std::string& where);

/// By the column `name`, as files or tables have it, from the highest down with a '-' before it; rows without a value
/// come last. Throws Error(kUsage), named `where`.
void sort_rows(Records& records, const std::string& name, const std::string& where);

}  // namespace sluice
