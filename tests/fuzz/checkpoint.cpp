// Checkpoints with an intact seal over anything: loaded, written again, and shown by what sluice-inspect does.
#include "core/checkpoint/checkpoint.hpp"

#include <sstream>
#include <vector>

#include "core/checkpoint/inspect.hpp"
#include "core/checkpoint/seal.hpp"
#include "tests/fuzz/harness.hpp"

namespace sluice {

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<char> bytes(data, data + size);
  append_seal(bytes);
  const MemoryFile file({bytes.data(), bytes.size()});
  attempt({ExitCode::kCheckpoint}, [&] {
    const Checkpoint checkpoint = load(file.path());
    const std::string copy = scratch_folder() + "/copy.h5";
    save(checkpoint, copy);
    if (content_digest(load(copy)) != content_digest(checkpoint)) found("a copy has another digest");
  });
  for (const bool json : {false, true}) {
    InspectOptions options;
    options.file = file.path();
    options.stats = options.config = options.history = options.decisions = true;
    options.json = json;
    std::ostringstream out, err;
    attempt({ExitCode::kCheckpoint}, [&] { inspect(options, out, err); });
  }
  return 0;
}

}  // namespace sluice
