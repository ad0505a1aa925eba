// sluice-export: hands a network to other programs: as an ONNX model or a PyTorch module, or its weights alone.
#include <charconv>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/export_weights.hpp"
#include "apps/known_normalization.hpp"
#include "apps/load.hpp"
#include "apps/outputs.hpp"
#include "apps/program.hpp"
#include "apps/pytorch/export_module.hpp"
#include "core/base/digest.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/config/text.hpp"
#ifdef SLUICE_ONNX
#include "apps/onnx/write_model.hpp"
#endif

namespace {

using namespace sluice;

Program describe() {
  Program program;
  program.usage =
      "CHECKPOINT.h5 -o MODEL.onnx [--section.key=value ...] [options]\n"
      "       sluice-export CHECKPOINT.h5 --pytorch MODEL.py WEIGHTS.h5 [--section.key=value ...] [--json]\n"
      "       sluice-export CHECKPOINT.h5 -o WEIGHTS.h5 [--json]";
  program.summary =
      "Writes the network of a checkpoint for other programs (docs/export.md): as an ONNX model; as a PyTorch module, "
      "with its weights in HDF5 or safetensors; or the weights alone, as HDF5 data sets under the names that a "
      "state_dict gives them.";
  program.flags = {
      {"output", "FILE", "The file to write, or - for standard output.", 'o'},
      force_flag(),
      {"format", "NAME", "onnx or weights; unset: by the output's name, *.onnx or *.h5."},
#ifdef SLUICE_ONNX
      {"opset", "N",
       concat("Of the ONNX model: the version of its operators, ", kOldestOpset, " to ", kNewestOpset, " (default ",
              kUsualOpset, ").")},
#else
      {"opset", "N", "Of the ONNX model: the version of its operators (this build has no ONNX)."},
#endif
      {"fold", "", "Of the ONNX model: put batch normalisation into the convolutions before it."},
      {"normalize", "", "Of the ONNX model: it takes the bytes of images, 0 to 255, and normalises them itself."},
      {"pytorch", "", "Write a PyTorch module, MODEL.py, and its weights, WEIGHTS.h5 or WEIGHTS.safetensors."},
      {"json", "", "Print JSON."}};
  program.keys = key_names;
  program.notes = {"Exit codes: 0 done, 2 usage or configuration, 5 checkpoint, 6 the output cannot be written."};
  program.configuration = key_documentation;
  program.foreign = training_sections();
  return program;
}

[[noreturn]] void refuse(const std::string& text) {
  throw Error(ExitCode::kUsage, "command line: " + text);
}

bool wants_onnx(const CommandLine& line) {
  const std::string output = line.value("output").value_or("");
  if (output.empty()) refuse("expected -o FILE, the file to write");
  const std::string format = line.value("format").value_or(ends_with(output, ".onnx") ? "onnx"
                                                           : ends_with(output, ".h5") ? "weights"
                                                                                      : "");
  if (format == "onnx" || format == "weights") return format == "onnx";
  if (!line.has("format"))
    refuse(concat("-o: ", quoted(output), " ends neither in .onnx nor in .h5; say --format=onnx or --format=weights"));
  refuse(concat("--format: expected onnx or weights, got ", quoted(format)));
}

#ifdef SLUICE_ONNX

std::int64_t opset_of(const CommandLine& line) {
  const std::string text = line.value("opset").value_or(std::to_string(kUsualOpset));
  std::int64_t opset = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), opset);
  if (parsed.ptr != text.data() + text.size() || opset < kOldestOpset || opset > kNewestOpset)
    refuse(
        concat("--opset: expected a whole number from ", kOldestOpset, " to ", kNewestOpset, ", got ", quoted(text)));
  return opset;
}

std::map<std::string, std::string> metadata_of(const Checkpoint& checkpoint,
                                               const std::optional<Normalization>& normalization, bool normalizes) {
  using Json = nlohmann::json;
  std::map<std::string, std::string> metadata = {
      {"sluice.config_digest",
       digest_hex(checkpoint.config.data(), static_cast<std::int64_t>(checkpoint.config.size()))},
      {"sluice.content_digest", content_digest(checkpoint)},
      {"input", normalizes ? "bytes of the image, 0 to 255" : "(byte / 255 - mean) / std, by channel"}};
  if (!checkpoint.class_names.empty()) metadata["class_names"] = json_text(Json(checkpoint.class_names), -1);
  if (normalization) {
    metadata["mean"] = json_text(Json(normalization->mean), -1);
    metadata["std"] = json_text(Json(normalization->std), -1);
  }
  return metadata;
}

PortableOptions options_of(const CommandLine& line, const TrainedNetwork& trained,
                           const std::optional<Normalization>& normalization) {
  PortableOptions options;
  options.fold = line.has("fold");
  options.executor = trained.configured().executor_options(Mode::kInference, 1);
  options.executor.type = DataType::kF32;
  options.kernels = trained.kernels();
  if (!line.has("normalize")) return options;
  if (!normalization)
    throw Error(ExitCode::kCheckpoint, concat(trained.file(), ": has no normalisation of images to put into the ",
                                              "model; give data.mean and data.std"));
  options.mean = normalization->mean;
  options.std = normalization->std;
  return options;
}

void print_json(std::ostream& out, const std::string& input, const std::string& output, std::int64_t opset,
                const PortableGraph& graph) {
  const nlohmann::ordered_json json = {
      {"file", input}, {"output", output}, {"opset", opset}, {"operators", graph.nodes().size()}};
  out << json_text(json) << "\n";
}

int export_onnx(const CommandLine& line, const std::string& input) {
  const std::int64_t opset = opset_of(line);
  const Output output = output_of(line, "output", "sluice-export", is_onnx_of_sluice);
  Registry registry;
  const Trained trained = load_trained(input, line.overrides(), registry);
  output.refuse_inputs({input});
  note_unmeasured(trained.network);
  const std::optional<Normalization> normalization = known_normalization(trained.network);
  const PortableGraph graph =
      portable_graph(trained.network.network(), options_of(line, trained.network, normalization));
  output.write(onnx_model(graph, opset, metadata_of(load(input), normalization, line.has("normalize"))));
  std::ostream& out = report_stream(output);
  if (line.has("json"))
    print_json(out, input, output.path(), opset, graph);
  else
    out << "wrote " << output.path() << ": " << graph.nodes().size() << " operators of opset " << opset << ", of "
        << input << "\n";
  return 0;
}

#else

int export_onnx(const CommandLine&, const std::string&) {
  throw Error(ExitCode::kEnvironment,
              "this build of Sluice has no ONNX; install protobuf-compiler and libprotobuf-dev, and build it again");
}

#endif

int export_file(const CommandLine& line) {
  if (line.has("pytorch")) {
    for (const char* flag : {"output", "format", "opset", "fold", "normalize"}) {
      if (line.has(flag)) refuse(concat("--", flag, " does not go with --pytorch"));
    }
    return export_torch_module(line);
  }
  if (line.positional().size() != 1)
    refuse(concat("expected one checkpoint, got ", line.positional().size(), " files"));
  const std::string& input = line.positional().front();
  if (wants_onnx(line)) return export_onnx(line, input);
  for (const char* flag : {"opset", "fold", "normalize"}) {
    if (line.has(flag)) refuse(concat("--", flag, " is of ONNX models, not of weights"));
  }
  if (!line.overrides().empty()) refuse(concat(line.overrides().front(), ": weights are exported as they are"));
  return export_weights_file(line, input, "sluice-export");
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("sluice-export", describe, argc, argv, export_file);
}
