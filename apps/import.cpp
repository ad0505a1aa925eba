// sluice-import: takes weights that PyTorch trained, and hands weights back to it.
#include "core/train/import.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "apps/export_weights.hpp"
#include "apps/load.hpp"
#include "apps/outputs.hpp"
#include "apps/program.hpp"
#include "core/base/error.hpp"
#include "core/base/signals.hpp"
#include "core/base/units.hpp"
#include "core/checkpoint/seal.hpp"
#include "core/config/text.hpp"
#include "core/data/normalization.hpp"
#include "core/model/network_checkpoint.hpp"
#include "core/model/trained_network.hpp"
#include "core/train/first_weights.hpp"
#include "sluice/layer.hpp"
#ifdef SLUICE_ONNX
#include "apps/onnx/gate_layers.hpp"
#include "apps/onnx/import_model.hpp"
#endif

namespace {

using namespace sluice;

Program describe() {
  Program program;
  program.usage =
      "WEIGHTS.h5[:GROUP] CONFIG.ini... -o CHECKPOINT.h5 [--section.key=value ...] [options]\n"
      "       sluice-import MODEL.onnx -o CHECKPOINT.h5 --config=NETWORK.ini [--section.key=value ...]\n"
      "       sluice-import --export CHECKPOINT.h5 -o WEIGHTS.h5 [--json]";
  program.summary =
      "Makes a checkpoint of the network that configuration files declare from a PyTorch state_dict that was stored as "
      "HDF5 data sets under its own names (docs/import.md shows how). Tensors are matched by name, "
      "layer1.0.conv1.weight with the weight of the layer layer1.0.conv1, and must have equal shapes but for "
      "dimensions of size 1. From an ONNX model it also writes the configuration. With --export it writes the weights "
      "of a checkpoint as such a file.";
  program.flags = {
      {"output", "FILE", "The file to write, or - for standard output.", 'o'},
      force_flag(),
      {"config", "NETWORK.ini", "Of an ONNX model: the file to write its network to."},
      {"gate", "TYPE:KEY=VALUE,...",
       "Of an ONNX model: put such layers in the place of the convolutions that fit, for example "
       "cg_conv:partitions=4."},
      {"group", "PATH", "Group of the file that holds the data sets (default /), as WEIGHTS.h5:GROUP."},
      {"rename", "OLD=NEW",
       "In the file's names, put NEW for the dotted parts OLD: fc=linear, backbone= (drops it). May be "
       "given several times.",
       '\0', true},
      {"partial", "", "Leave tensors that are missing or of another shape at their initial values."},
      {"export", "CHECKPOINT.h5", "Write the weights and buffers of this checkpoint instead, as sluice-export does."},
      {"json", "", "Print JSON."}};
  program.keys = key_names;
  program.notes = {
      "Exit codes: 0 done, 2 usage or configuration, 5 the file cannot be read or does not fit the network, 6 the "
      "output cannot be written."};
  program.configuration = key_documentation;
  return program;
}

[[noreturn]] void refuse(const std::string& text) {
  throw Error(ExitCode::kUsage, "command line: " + text);
}

bool is_imported(const std::string& path) {
  return is_checkpoint_with("imported_from", path);
}

std::vector<std::pair<std::string, std::string>> renames_of(const CommandLine& line) {
  std::vector<std::pair<std::string, std::string>> renames;
  for (const std::string& text : line.values("rename")) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      refuse(concat("--rename: expected OLD=NEW, for example fc=linear, got '", text, "'"));
    renames.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return renames;
}

/// The group that --group names, or that stands behind the file's name: weights.h5:/trained. Takes it from the name.
std::string group_of(const CommandLine& line, std::string& file) {
  const std::size_t colon = file.rfind(':');
  if (colon == std::string::npos || std::filesystem::exists(file)) return line.value("group").value_or("/");
  if (line.has("group")) refuse(concat("--group: ", file, " names a group already; name it once"));
  const std::string group = file.substr(colon + 1);
  file.erase(colon);
  return group.empty() ? "/" : group;
}

int export_file(const CommandLine& line) {
  for (const char* flag : {"config", "gate", "group", "rename", "partial"}) {
    if (line.has(flag)) refuse(concat("--", flag, " does not go with --export"));
  }
  if (!line.positional().empty() || !line.overrides().empty())
    refuse("--export takes one checkpoint and nothing else; expected --export CHECKPOINT.h5 -o WEIGHTS.h5");
  return export_weights_file(line, *line.path("export"), "sluice-import");
}

/// What the configuration gives; nothing where it leaves that to be measured.
Normalization normalization_of(const Experiment& experiment) {
  const KnownNormalization given = given_normalization(experiment.data, experiment.network().input_shape(1)[kC]);
  Warnings warnings = half_given(experiment.data);
  Normalization normalization;
  if (given.mean && given.std) {
    normalization = {*given.mean, *given.std};
    warnings = doubtful(normalization);
  }
  for (const std::string& warning : warnings) std::cerr << "warning: " << warning << "\n";
  return normalization;
}

#ifdef SLUICE_ONNX

constexpr char kMade[] = "# Made by sluice-import";

bool is_made_configuration(const std::string& path) {
  std::string first;
  std::ifstream file(path);
  return std::getline(file, first) && starts_with(first, kMade);
}

void put_weights(const std::string& file, const ImportedModel& imported, Network& network) {
  const auto put = [&](const std::string& path, const Shape& shape, float* to) {
    const auto found = imported.tensors.find(path);
    const std::size_t held = found == imported.tensors.end() ? 0 : found->second->size();
    if (static_cast<std::int64_t>(held) != shape.count())
      throw Error(ExitCode::kCheckpoint,
                  concat(file, ": has ", held, " numbers for ", path, ", expected ", to_string(shape)));
    const std::vector<float>& values = *found->second;
    std::copy(values.begin(), values.end(), to);
  };
  for (const Parameter& p : network.parameters()) put(p.path(), p.shape, network.parameter_data() + p.offset);
  for (const StateBuffer& b : network.buffers()) put(b.path(), b.shape, network.buffer_data() + b.offset);
}

/// The network of a configuration that came of a model.
std::unique_ptr<Experiment> experiment_of(const ImportedModel& imported, const std::string& name,
                                          const CommandLine& line, const Registry& registry) {
  return std::make_unique<Experiment>(Config::parse(imported.ini, name, line.overrides()), registry);
}

/// What a model becomes.
struct Taken {
  ImportedModel imported;
  std::unique_ptr<Experiment> experiment;
  std::vector<std::string> gated;              ///< layers
  std::int64_t convolutions = 0;               ///< among which these are
  std::optional<Normalization> normalization;  ///< that images were measured with
};

Taken take_dense(const ForeignModel& model, const LayerList& list, const std::string& name, const CommandLine& line,
                 const Registry& registry) {
  Taken taken;
  taken.imported = describe_model(model, list);
  taken.experiment = experiment_of(taken.imported, name, line, registry);
  put_weights(model.file, taken.imported, taken.experiment->network());
  return taken;
}

/// Measures thresholds that are to open a share of the gates, and the statistics of these, on images of the training
/// set, with this normalisation. Nothing where there are none.
std::optional<Normalization> measure_gates(Experiment& experiment, const std::vector<std::string>& missing) {
  const Parameter* const first = first_measured(experiment.network(), missing);
  if (first == nullptr) return std::nullopt;
  try {
    start_threads(experiment);
    const TrainingData data = open_training_data(experiment, nullptr, false, [] { throw_if_stopped(); });
    Log log(2, 2);
    for (const std::string& warning : data.warnings) log.warning(warning);
    measure_missing(experiment, data, missing, log);
    return data.normalization;
  } catch (const Error& error) {
    throw Error(error.code(),
                concat("--gate: ", first->path(), " is to be measured on training images: ", error.what()));
  }
}

/// With gated layers in place of the convolutions that fit. They take the weights as a gated training that starts from
/// a dense network does.
Taken take_gated(const ForeignModel& model, LayerList list, const std::string& name, const CommandLine& line,
                 const Registry& registry, const std::string& wanted) {
  const GateRequest request = [&] {
    try {
      return GateRequest::parse(wanted, registry);
    } catch (const Error& error) {
      refuse(concat("--gate: ", error.what()));
    }
  }();
  std::vector<bool> gateable =
      find_gateable(list, take_dense(model, list, name, line, registry).experiment->network(), registry, request);
  Taken taken;
  for (std::size_t i = 0; i < list.layers.size(); ++i) {
    taken.convolutions += list.layers[i].type == "conv" ? 1 : 0;
    if (gateable[i]) taken.gated.push_back(list.layers[i].name);
  }
  if (taken.gated.empty())
    refuse(concat("--gate: none of the ", taken.convolutions, " convolutions of ", model.file, " can be a ", wanted));
  put_biases_behind(list, gateable);
  const Taken dense = take_dense(model, list, name, line, registry);
  if (request.two_norms) drop_norms(list, gateable);
  gate_layers(list, gateable, request);
  taken.imported = describe_model(model, list);
  taken.experiment = experiment_of(taken.imported, name, line, registry);
  Network& network = taken.experiment->network();
  network.initialise(static_cast<std::uint64_t>(taken.experiment->run.seed));
  RestoreReport report = restore_weights(untrained_checkpoint(*dense.experiment, {}), network, false);
  convert_restored(dense.experiment->network(), network, report);
  taken.normalization = measure_gates(*taken.experiment, report.missing);
  return taken;
}

/// The first names, and how many more there are.
std::string few_of(const std::vector<std::string>& names) {
  constexpr std::size_t kFew = 6;
  if (names.size() <= kFew + 1) return join(names);
  return concat(join({names.begin(), names.begin() + kFew}), " and ", names.size() - kFew, " more");
}

int import_onnx(const CommandLine& line) {
  const std::string& file = line.positional().front();
  if (line.positional().size() != 1) refuse("an ONNX model brings its configuration; expected MODEL.onnx alone");
  for (const char* flag : {"group", "rename", "partial", "json"}) {
    if (line.has(flag)) refuse(concat("--", flag, " does not go with an ONNX model"));
  }
  const Output output = output_of(line, "output", "sluice-import", is_imported);
  const Output config_output = output_of(line, "config", "sluice-import", is_made_configuration);
  Registry registry;
  register_all(registry);
  const ForeignModel model = read_onnx(file);
  const LayerList list = list_layers(model);
  const auto gate = line.value("gate");
  const Taken taken = gate ? take_gated(model, list, config_output.path(), line, registry, *gate)
                           : take_dense(model, list, config_output.path(), line, registry);
  output.refuse_inputs({file, config_output.path()});
  config_output.refuse_inputs({file, output.path()});
  Checkpoint checkpoint = untrained_checkpoint(
      *taken.experiment, taken.normalization ? *taken.normalization : normalization_of(*taken.experiment));
  checkpoint.run["imported_from"] = file;
  config_output.write(taken.imported.ini);
  save(checkpoint, output);
  std::ostream& out = report_stream(output);
  out << "wrote " << output.path() << " and " << config_output.path() << ": "
      << taken.experiment->network().nodes().size() << " layers of " << file << "\n";
  if (gate)
    out << "gated " << taken.gated.size() << " of " << counted(taken.convolutions, "convolution") << ": "
        << few_of(taken.gated) << "\n";
  return 0;
}

#else

int import_onnx(const CommandLine&) {
  throw Error(ExitCode::kEnvironment,
              "this build of Sluice has no ONNX; install protobuf-compiler and libprotobuf-dev, and build it again");
}

#endif

bool is_onnx_name(const std::string& path) {
  return ends_with(path, ".onnx");
}

int import_file(const CommandLine& line) {
  if (!line.positional().empty() && is_onnx_name(line.positional().front())) return import_onnx(line);
  if (line.has("config")) refuse("--config is of ONNX models; name the configuration behind the weights");
  if (line.has("gate")) refuse("--gate is of ONNX models; the configuration behind the weights has its gates");
  if (line.positional().size() < 2) refuse("expected WEIGHTS.h5 and CONFIG.ini; see sluice-import --help");
  ImportOptions options;
  options.file = line.positional().front();
  options.group = group_of(line, options.file);
  options.renames = renames_of(line);
  options.partial = line.has("partial");
  const Output output = output_of(line, "output", "sluice-import", is_imported);
  Registry registry;
  Experiment experiment =
      load_experiment({line.positional().begin() + 1, line.positional().end()}, line.overrides(), registry);
  std::vector<std::string> inputs = line.positional();
  inputs.push_back(options.file);
  refuse_inputs(output, inputs, experiment);
  experiment.network().initialise(static_cast<std::uint64_t>(experiment.run.seed));
  const Normalization normalization = normalization_of(experiment);
  const ImportReport report = import_weights(options, experiment.network());
  if (options.group == "/" && check_seal(options.file).state == SealReport::State::kIntact)
    throw Error(ExitCode::kCheckpoint, concat(options.file, ": is a checkpoint of Sluice, which needs no import: ",
                                              "[train] init starts from it, sluice-eval and sluice-deploy take it"));
  const bool complete = report.complete(options.partial);
  if (complete) {
    Checkpoint checkpoint = untrained_checkpoint(experiment, normalization);
    const std::vector<std::string> unmeasured = unmeasured_layers(experiment.network());
    if (!unmeasured.empty()) std::cerr << "warning: " << output.path() << ": " << unmeasured_text(unmeasured) << "\n";
    checkpoint.run["imported_from"] = options.file + (options.group == "/" ? "" : ":" + options.group);
    save(checkpoint, output);
  }
  std::ostream& out = report_stream(output);
  if (line.has("json"))
    print_json_import(out, options, report, complete ? output.path() : "");
  else
    print_import(out, options, report, width_of(out));
  if (!complete) throw Error(ExitCode::kCheckpoint, import_failure(options, report));
  if (!line.has("json")) out << "wrote " << output.path() << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("sluice-import", describe, argc, argv, [](const CommandLine& line) {
    return line.has("export") ? export_file(line) : import_file(line);
  });
}
