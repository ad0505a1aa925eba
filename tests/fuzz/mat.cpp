// MATLAB's files, as sluice-pack reads those of SVHN. Input: the file.
#include "apps/pack/array_set.hpp"
#include "tests/fuzz/harness.hpp"

namespace sluice {

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  scratch_folder();
  write_file("a.mat", text_of(data, size));
  attempt({ExitCode::kData}, [] {
    const std::optional<ArraySet> set = read_svhn("a.mat");
    const ArrayPart& part = set->parts.at(0);
    if (part.pixels.size() != part.labels.size() * static_cast<std::size_t>(part.shape.count()))
      found("images and labels that do not fit");
    for (const std::int32_t label : part.labels) {
      if (label < 0 || label > 9) found(concat("label ", label));
    }
  });
  return 0;
}

}  // namespace sluice
