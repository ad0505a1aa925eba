// Models of other programs: what is understood becomes a configuration that can be read.
#include "apps/onnx/import_model.hpp"
#include "core/config/config.hpp"
#include "tests/fuzz/harness.hpp"

namespace sluice {

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  attempt({ExitCode::kCheckpoint}, [&] {
    const ImportedModel made = import_model(parse_onnx(text_of(data, size), scratch_folder() + "/model.onnx"));
    try {
      Config::parse(made.ini, "net.ini", {});
    } catch (const Error& error) {
      found(concat("a configuration that cannot be read: ", error.what()));
    }
  });
  return 0;
}

}  // namespace sluice
