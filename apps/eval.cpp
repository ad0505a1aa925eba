// sluice-eval: evaluates a checkpoint on the whole of a data set.
#include <algorithm>
#include <iostream>
#include <optional>

#include "apps/compare.hpp"
#include "apps/evaluation_progress.hpp"
#include "apps/formats.hpp"
#include "apps/load.hpp"
#include "apps/outputs.hpp"
#include "apps/program.hpp"
#include "apps/shift.hpp"
#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/base/text_stream.hpp"
#include "core/graph/gated_layers.hpp"
#include "core/train/advice.hpp"
#include "core/train/backend_comparison.hpp"
#include "core/train/metrics_text.hpp"
#include "core/train/report.hpp"

namespace {

using namespace sluice;

Program describe() {
  Program program;
  program.usage = "CHECKPOINT.h5... [--section.key=value ...] [options]";
  program.summary =
      "Evaluates a checkpoint on the test set of the configuration it was trained with (every image exactly once). "
      "Overrides change that configuration: --data.dir=DIR, --run.precision=bf16, --eval.batch=1. Several checkpoints "
      "give one table.";
  program.flags = {
      {"split", "NAME", "test (default), validation or train."},
      {"predictions", "FILE.csv",
       "Write index, label, prediction and the logits of each image, and the file of a picture; - is standard output."},
      force_flag(),
      {"confusion", "", "Print the confusion matrix."},
      {"backend", "NAME", "skip (default) or dense: the same as --run.backend=NAME."},
      {"compare", "", "Run both backends and count where they differ."},
      {"shift", "FROM:TO:STEP",
       "Move all thresholds by each of these amounts, and show accuracy against cost: a knob without training. On the "
       "validation images unless --split says otherwise."},
      {"time", "", "Several checkpoints: milliseconds for a batch, deployed, taken in turn."},
      {"json", "", "Print JSON."}};
  for (const Flag& flag : table_flags()) program.flags.push_back(flag);
  program.keys = key_names;
  program.notes = {"Exit codes: 0 done, 2 usage or configuration, 3 data, 5 checkpoint, 6 environment."};
  program.configuration = key_documentation;
  program.foreign = training_sections();
  return program;
}

constexpr char kPredictionsBegin[] = "index,label,prediction,";

bool are_predictions(const std::string& path) {
  return begins_with(path, kPredictionsBegin);
}

/// A line for each image.
class Predictions {
 public:
  explicit Predictions(const Dataset& dataset) : dataset_(dataset), named_(!dataset.image_name(0).empty()) {}

  void add(const Batch& batch, const float* logits, std::int64_t classes) {
    if (text_.tellp() == 0) {
      text_ << "index,label,prediction";
      for (std::int64_t c = 0; c < classes; ++c) text_ << ",logit_" << c;
      text_ << (named_ ? ",file\n" : "\n");
    }
    text_.precision(9);
    for (std::int64_t i = 0; i < batch.count; ++i) {
      const float* row = logits + i * classes;
      const auto at = static_cast<std::size_t>(i);
      text_ << batch.indices[at] << "," << batch.labels[at] << "," << std::max_element(row, row + classes) - row;
      for (std::int64_t c = 0; c < classes; ++c) text_ << "," << row[c];
      if (named_) text_ << "," << detail::csv_cell(one_line(dataset_.image_name(batch.indices[at])));
      text_ << "\n";
    }
  }

  std::string text() const { return text_.str(); }

 private:
  const Dataset& dataset_;
  const bool named_;
  TextWriter text_;
};

std::vector<std::string> overrides_of(const CommandLine& line) {
  std::vector<std::string> overrides = line.overrides();
  if (const auto backend = line.value("backend")) overrides.push_back("--run.backend=" + *backend);
  return overrides;
}

/// Several checkpoints, or one with several thresholds.
bool gives_table(const CommandLine& line) {
  return line.positional().size() > 1 || line.has("shift");
}

void check_flags(const CommandLine& line) {
  const auto exclude = [&](const char* flag, const char* where) {
    if (line.has(flag)) throw Error(ExitCode::kUsage, concat("command line: --", flag, where));
  };
  if (line.positional().empty()) throw Error(ExitCode::kUsage, "command line: expected a checkpoint, got 0 files");
  if (line.has("shift") && line.positional().size() > 1)
    throw Error(ExitCode::kUsage, "command line: --shift goes with one checkpoint");
  if (line.has("shift")) exclude("time", " does not go with --shift");
  if (gives_table(line)) {
    for (const char* flag : {"predictions", "confusion", "compare"})
      exclude(flag, " goes with one checkpoint as it is");
    return;
  }
  exclude("time", " goes with several checkpoints; sluice-bench times one");
  for (const char* flag : {"csv", "markdown"}) exclude(flag, " goes with several checkpoints, or --shift");
  for (const char* flag : {"predictions", "confusion", "backend"}) {
    if (line.has("compare") && line.has(flag))
      throw Error(ExitCode::kUsage, concat("command line: --", flag, " does not go with --compare"));
  }
}

int show_table(const CommandLine& line) {
  const RecordFormat format = format_of(line);
  const std::vector<std::string>& files = line.positional();
  if (const auto shift = line.value("shift")) {
    const Split split = split_of(line, "split").value_or(Split::kValidation);
    const std::vector<double> amounts = parse_shifts(*shift, "command line: --shift");
    print_records(std::cout, shift_curve(files.front(), overrides_of(line), split, amounts), format);
  } else {
    const Split split = split_of(line, "split").value_or(Split::kTest);
    print_records(std::cout, compare_networks(files, overrides_of(line), split, line.has("time")), format);
  }
  return 0;
}

void advise(const Network& network, const Evaluation& evaluation, const ExecutorOptions& options,
            const Evaluator& evaluator) {
  std::vector<std::string> advice = advice_on_decisions(network, evaluation.counts);
  if (options.skip) {
    for (std::string& line : advice_on_skipping(network, evaluator.operations())) advice.push_back(std::move(line));
  }
  for (const std::string& line : advice) std::cerr << "warning: " << line << "\n";
}

int evaluate(const CommandLine& line) {
  check_flags(line);
  if (gives_table(line)) return show_table(line);
  const Split split = split_of(line, "split").value_or(Split::kTest);
  std::optional<Output> output;
  if (line.has("predictions")) output = output_of(line, "predictions", "sluice-eval", are_predictions);
  Registry registry;
  const Trained trained = load_trained(line.positional().front(), overrides_of(line), registry);
  Experiment& experiment = *trained.experiment;
  if (output) refuse_inputs(*output, {trained.checkpoint.file}, experiment);
  start_threads(experiment);
  note_foreign_kernels(trained);
  note_unmeasured(trained.network);
  const auto [dataset, normalization] = open_images(trained, split, "split");
  const ExecutorOptions options = experiment.executor_options(Mode::kInference, experiment.eval.batch);
  const PipelineOptions pipeline = evaluation_pipeline(experiment.data, normalization, experiment.eval.batch);
  EvaluationProgress progress;
  progress.next(line.positional().front());
  progress.begin(dataset->size());
  if (line.has("compare")) {
    BackendComparison comparison = compare_backends(experiment.network(), options, *dataset, pipeline,
                                                    trained.network.kernels(), &progress.line());
    progress.line().end();
    comparison.split = to_string(split);
    (line.has("json") ? print_json_comparison : print_comparison)(std::cout, comparison);
    return 0;
  }
  Evaluator evaluator(experiment.network(), options, *dataset, pipeline);
  evaluator.choose(trained.network.kernels());
  Predictions predictions(*dataset);
  const Evaluation evaluation = *evaluator.run([&](const Batch& batch, const float* logits, std::int64_t classes) {
    if (output) predictions.add(batch, logits, classes);
    progress.line().pass(batch.count);
  });
  progress.line().end();
  for (const std::string& note : picture_warnings(*dataset, evaluation)) std::cerr << "warning: " << note << "\n";
  for (const std::string& note : uncounted_layers(experiment.network(), evaluation.counts))
    std::cerr << "warning: " << note << "\n";
  advise(experiment.network(), evaluation, options, evaluator);
  if (output) output->write(predictions.text());
  std::ostream& out = output ? report_stream(*output) : std::cout;
  const ReportSubject subject{line.positional().front(), to_string(split),
                              dataset->name(),           class_names(*dataset, experiment.network()),
                              line.has("confusion"),     !trained.network.kernels().empty(),
                              experiment.eval.top_k,     width_of(out)};
  if (line.has("json")) {
    print_json_report(out, subject, experiment.network(), evaluation);
  } else {
    print_report(out, subject, experiment.network(), evaluation);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("sluice-eval", describe, argc, argv, evaluate);
}
