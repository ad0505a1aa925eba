// Command lines, an argument on each line: flags as the programs have them, and overrides as configurations take them.
#include "core/config/command_line.hpp"

#include <vector>

#include "core/config/config.hpp"
#include "core/data/options.hpp"
#include "tests/fuzz/harness.hpp"

namespace sluice {

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  scratch_folder();
  static const std::vector<Flag> flags = {{"resume", "", "A switch."},
                                          {"output", "FILE", "A value.", 'o'},
                                          {"rename", "OLD=NEW", "Values.", '\0', true},
                                          {"help", "", "Help.", 'h'}};
  std::string_view rest = text_of(data, size);
  std::vector<std::string> arguments = {"program"};
  while (!rest.empty()) arguments.emplace_back(take_until(rest, '\n'));
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  attempt({ExitCode::kUsage}, [&] {
    const CommandLine line = parse_command_line(static_cast<int>(argv.size()), argv.data(), flags);
    if (line.has("output")) static_cast<void>(line.value("output").value());
    for (const std::string& name : line.values("rename")) static_cast<void>(name.size());
    Config config = Config::parse("[data]\ndir = x\n", "fuzz.ini", line.overrides());
    config.read<DataOptions>("data");
    config.check();
    static_cast<void>(config.resolved());
  });
  return 0;
}

}  // namespace sluice
