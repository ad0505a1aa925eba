// Weights of other programs, as HDF5 files, for a small network.
#include "core/train/import.hpp"

#include <sstream>

#include "core/config/config.hpp"
#include "core/graph/registry.hpp"
#include "layers/layers.hpp"
#include "tests/fuzz/harness.hpp"

namespace sluice {
namespace {

constexpr const char* kNetwork = R"([network]
input = 2x6x5
[layer.conv]
type = conv
channels = 4
kernel = 3
[layer.bn]
type = batchnorm
[layer.pool]
type = global_pool
[layer.fc]
type = linear
features = 3
[layer.loss]
type = softmax_cross_entropy
from = fc, labels
)";

struct Layers : Registry {
  Layers() { register_layers(*this); }
};

struct Target {
  Layers registry;
  Config config = Config::parse(kNetwork, "net.ini");
  Network network{config, registry};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Target target;
  ImportOptions options;
  options.file = scratch_folder() + "/weights.h5";  // HDF5 wants a real path
  write_file(options.file, text_of(data, size));
  options.renames = {{"features.0", "conv"}};
  for (const bool partial : {false, true}) {
    options.partial = partial;
    attempt({ExitCode::kCheckpoint, ExitCode::kUsage}, [&] {
      const ImportReport report = import_weights(options, target.network);
      std::ostringstream out;
      print_import(out, options, report);
      print_json_import(out, options, report, "out.h5");
      if (!report.complete(partial)) static_cast<void>(import_failure(options, report));
    });
  }
  return 0;
}

}  // namespace sluice
