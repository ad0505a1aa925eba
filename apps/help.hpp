// --help: one screen, and behind it each section of configuration keys.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "apps/program.hpp"

namespace sluice {

/// What a program is called, takes and does, its options and exit codes, and which sections there are.
void print_help(std::ostream& out, const char* name, const Program& program, const std::vector<Flag>& flags);

/// `--help TOPIC`: a section ("data"), a type of layers ("cg_conv"), or "all". False where it is none of these, and may
/// be a file. Throws Error(kUsage) for a word that looks like one.
bool print_help_on(std::ostream& out, const std::string& topic, const Program& program);

}  // namespace sluice
