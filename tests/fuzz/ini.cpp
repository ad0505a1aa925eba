// Configurations: reading one reports mistakes or gives a resolved text that reads back to itself.
#include "core/config/blocks.hpp"
#include "core/config/config.hpp"
#include "core/train/experiment.hpp"
#include "tests/fuzz/harness.hpp"

namespace sluice {
namespace {

std::string resolved(const std::string& text, const std::string& name) {
  Config config = Config::parse(text, name);
  visit_sections([&](const char* section, auto options) { config.read<decltype(options)>(section); });
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
