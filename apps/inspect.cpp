// sluice-inspect: shows, verifies and compares checkpoints without loading the network.
#include "core/checkpoint/inspect.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "apps/outputs.hpp"
#include "apps/program.hpp"
#include "core/base/error.hpp"
#include "core/base/terminal.hpp"
#include "gating/gating.hpp"

namespace {

using namespace sluice;

Program describe() {
  Program program;
  program.usage = "FILE.h5 [options]\n       sluice-inspect EDITED.h5 --reseal -o CHECKPOINT.h5";
  program.summary =
      "Shows what is in a checkpoint, without loading the network; by default its header and its tensors in network "
      "order. Other HDF5 files are shown as far as they can be. Files are read in a process of their own, so that a "
      "damaged one does no harm.";
  program.flags = {
      {"stats", "",
       "Add minimum, maximum, mean, standard deviation, share of zeros, NaN and Inf counts of every tensor."},
      {"config", "", "Print the configuration it was trained with; it can be used as a configuration file."},
      {"history", "", "Print the table of metrics."},
      {"plot", "", "Draw the metrics as curves of Unicode characters."},
      {"gates", "", "Print layers whose work depends on their images: thresholds, density, MACs executed and saved."},
      {"verify", "",
       "Check the seal, read everything, look for missing members and shapes that do not fit. Exit code 5 on any "
       "damage."},
      {"diff", "OTHER.h5",
       "Compare with another file, tensor by tensor, times and host left out. Exit code 0: equal, 1: different."},
      {"filter", "GLOB",
       "Only tensors (with --gates: layers) that match, for example 'weights/layer1*'. With --diff nothing else is "
       "compared."},
      {"reseal", "",
       "Of a checkpoint that another program changed, which lost its seal: check all that --verify checks but seal and "
       "digest, and write it as a checkpoint again."},
      {"output", "FILE", "With --reseal: the file to write.", 'o'},
      force_flag(),
      {"json", "", "Print JSON."},
      {"timeout", "SECONDS", "How long reading may take (default 60, and more for large files)."}};
  program.exact = {"config", "json"};
  program.notes = {
      "Exit codes: 0 done (with --diff: equal), 1 different, 2 wrong command line, 5 missing or damaged file."};
  return program;
}

double seconds(const std::string& text) {
  try {
    std::size_t used = 0;
    const double value = std::stod(text, &used);
    if (used == text.size() && value > 0 && value < 1e6) return value;
  } catch (const std::exception&) {
  }
  throw Error(ExitCode::kUsage, "command line: --timeout: expected seconds above 0, got '" + text + "'");
}

InspectOptions read_options(const CommandLine& line) {
  const auto refuse = [](const std::string& text) { throw Error(ExitCode::kUsage, "command line: " + text); };
  InspectOptions options;
  if (line.positional().size() != 1)
    refuse(concat("expected one file, got ", line.positional().size(), "; see sluice-inspect --help"));
  options.file = line.positional().front();
  options.stats = line.has("stats");
  options.config = line.has("config");
  options.history = line.has("history");
  options.plot = line.has("plot");
  options.width = sluice::terminal_width(STDOUT_FILENO).value_or(0);
  options.decisions = line.has("gates");
  options.deciding = {kThreshold};
  options.verify = line.has("verify");
  options.diff = line.path("diff").value_or("");
  options.filter = line.value("filter").value_or("");
  options.json = line.has("json");
  if (const auto timeout = line.value("timeout")) options.timeout_seconds = seconds(*timeout);
  const bool shows = options.stats || options.config || options.history || options.plot || options.decisions;
  if (options.verify && (shows || line.has("diff") || line.has("filter")))
    refuse("--verify goes with --json and --timeout only");
  if (options.plot && options.json) refuse("--plot draws for people; --history goes with --json");
  if (line.has("diff") && shows) refuse("--diff goes with --filter, --json and --timeout only");
  const bool reseals = line.has("reseal");
  if (reseals && (shows || options.verify || line.has("diff") || line.has("filter") || options.json))
    refuse("--reseal goes with -o, --force and --timeout only");
  for (const char* flag : {"output", "force"}) {
    if (line.has(flag) && !reseals) refuse(concat("--", flag, " goes with --reseal"));
  }
  return options;
}

bool is_resealed(const std::string& path) {
  return is_checkpoint_with("resealed_from", path);
}

int reseal(const CommandLine& line) {
  const InspectOptions options = read_options(line);
  const Output output = output_of(line, "output", "sluice-inspect", is_resealed);
  output.refuse_inputs({options.file});
  Checkpoint checkpoint = read_edited(options);
  checkpoint.run["resealed_from"] = options.file;
  save(checkpoint, output);
  report_stream(output) << "wrote " << output.path() << ": " << checkpoint.tensors.size() << " tensors of "
                        << options.file << ", with a seal\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return sluice::run_program("sluice-inspect", describe, argc, argv, [](const CommandLine& line) {
    return line.has("reseal") ? reseal(line) : sluice::inspect(read_options(line), std::cout, std::cerr);
  });
}
