// metrics.csv and metrics.jsonl as a run finds them when it resumes. Input: both, with a byte 0 between them.
#include "core/train/metrics.hpp"

#include "tests/fuzz/harness.hpp"

namespace sluice {
namespace {

void resume(std::int64_t last_step) {
  MetricsFiles files("metrics.csv", "metrics.jsonl", last_step);
  files.write(
      {{"epoch", std::int64_t{3}}, {"step", last_step + 1}, {"new, \"column\"", 0.5}, {"text", std::string("a\nb,c")}});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  scratch_folder();
  std::string_view jsonl = text_of(data, size);
  const std::string_view csv = take_until(jsonl, '\0');
  write_file("metrics.csv", csv);
  write_file("metrics.jsonl", jsonl);
  // What could be continued once can be so again.
  if (!attempt({ExitCode::kCheckpoint}, [] { resume(4); })) return 0;
  for (const std::int64_t step : {5, 2}) {
    if (!attempt({ExitCode::kCheckpoint}, [&] { resume(step); })) found("cannot be continued any more");
  }
  return 0;
}

}  // namespace sluice
