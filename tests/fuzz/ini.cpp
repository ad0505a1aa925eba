// Configurations: reading one reports mistakes or gives a resolved text that reads back to itself.
#include "core/config/blocks.hpp"
#include "core/config/config.hpp"
#include "core/data/options.hpp"
#include "core/train/experiment.hpp"
#include "tests/fuzz/harness.hpp"

namespace sluice {
namespace {

void read_options(Config& config) {
  config.read<RunOptions>("run");
  config.read<TrainOptions>("train");
  config.read<EvalOptions>("eval");
  config.read<CheckpointOptions>("checkpoint");
  config.read<DataOptions>("data");
  config.read<OptimizerOptions>("optimizer");
  config.read<ScheduleOptions>("schedule");
  config.read<EmaOptions>("ema");
  config.read<EarlyStoppingOptions>("early_stopping");
  config.read<LogOptions>("log");
}

std::string resolved(const std::string& text, const std::string& name) {
  Config config = Config::parse(text, name);
  read_options(config);
  const std::vector<Section> layers = expand_layers(config);
  config.diagnostics().throw_if_errors();
  return config.resolved();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  scratch_folder();
  const std::string text(text_of(data, size));
  if (text.find("/dev") != std::string::npos) return 0;  // an include could wait there for ever
  std::string first, second;
  if (!attempt({ExitCode::kUsage}, [&] { first = resolved(text, "fuzz.ini"); })) return 0;
  if (!attempt({ExitCode::kUsage}, [&] { second = resolved(first, "fuzz.ini"); }))
    found("cannot be read back:\n" + first);
  return 0;
}

}  // namespace sluice
