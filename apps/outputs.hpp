// What -o and --predictions have in common: what they may replace, and what they must not write over.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "core/base/output.hpp"
#include "core/config/command_line.hpp"
#include "core/train/experiment.hpp"

namespace sluice {

/// --force, for a program's flags.
Flag force_flag();

/// The file that `flag` names. One that is there already must be what `ours` knows as an earlier output, or --force
/// replaces it. Throws as Output does, and Error(kUsage) where the flag has no value.
Output output_of(const CommandLine& line, const std::string& flag, const std::string& program,
                 std::function<bool(const std::string& path)> ours);

/// Refuses an output that is one of `inputs`, or a plug-in, configuration file or data set of the experiment.
void refuse_inputs(const Output& output, std::vector<std::string> inputs, Experiment& experiment);

/// Where the program reports: standard error where the output takes standard output.
std::ostream& report_stream(const Output& output);

/// Characters of a line of std::cout or std::cerr (terminal_width).
std::optional<int> width_of(const std::ostream& out);

/// An intact checkpoint with this member of /run ("imported_from"): the program that writes it wrote the file.
bool is_checkpoint_with(const std::string& member, const std::string& path);

}  // namespace sluice
