#include "apps/outputs.hpp"

#include <unistd.h>

#include <iostream>

#include "core/base/error.hpp"
#include "core/base/terminal.hpp"
#include "core/checkpoint/checkpoint.hpp"
#include "core/data/dataset.hpp"
#include "core/plugin/load.hpp"

namespace sluice {

Flag force_flag() {
  return {"force", "", "Replace a file that another program wrote."};
}

Output output_of(const CommandLine& line, const std::string& flag, const std::string& program,
                 std::function<bool(const std::string& path)> ours) {
  const std::string path = line.path(flag).value_or("");
  if (path.empty())
    throw Error(ExitCode::kUsage, concat("command line: expected ", flag == "output" ? "-o " : "--" + flag + "=",
                                         "FILE, the file to write"));
  return {path, {program, std::move(ours), line.has("force")}};
}

void refuse_inputs(const Output& output, std::vector<std::string> inputs, Experiment& experiment) {
  for (const Section& section : experiment.config.sections()) {
    inputs.push_back(section.source().file);
    for (const Entry& entry : section.entries()) inputs.push_back(entry.source.file);
  }
  for (const std::string& file : experiment.config.read<PluginOptions>("plugins").load) inputs.push_back(file);
  output.refuse_inputs(inputs);
  if (output.replaces_foreign() && may_be_read(experiment.data, output.path()))
    throw Error(ExitCode::kUsage, concat(output.path(), ": belongs to the data set that this call reads (data.dir = ",
                                         experiment.data.dir, "); name another file"));
}

std::ostream& report_stream(const Output& output) {
  return output.is_standard_output() ? std::cerr : std::cout;
}

std::optional<int> width_of(const std::ostream& out) {
  return terminal_width(&out == &std::cerr ? STDERR_FILENO : STDOUT_FILENO);
}

bool is_checkpoint_with(const std::string& member, const std::string& path) {
  try {
    return load(path).run.count(member) > 0;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace sluice
