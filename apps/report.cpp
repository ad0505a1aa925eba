// sluice-report: one page about a run or a network, or about several side by side.
#include <algorithm>
#include <ctime>
#include <functional>
#include <iostream>
#include <set>

#include "apps/load.hpp"
#include "apps/outputs.hpp"
#include "apps/program.hpp"
#include "apps/report_subject.hpp"
#include "apps/time_in_turn.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/units.hpp"
#include "core/config/text.hpp"
#include "core/graph/version.hpp"
#include "core/report/page.hpp"
#include "core/report/run_table.hpp"

namespace {

using namespace sluice;

constexpr double kFloatBits = 32;
constexpr int kMaps = 8;  // images whose decisions are shown

Program describe() {
  Program program;
  program.usage = "RUN-OR-CHECKPOINT... -o REPORT.html [--section.key=value ...] [options]";
  program.summary =
      "Writes one HTML page, which needs no network: curves, layers, classes, where gates open, the configuration; of "
      "several runs or checkpoints what differs, their curves, and accuracy against cost. Runs are evaluated by their "
      "best weights on the test set of the configuration they were trained with.";
  program.flags = {{"output", "FILE", "The page to write, or - for standard output.", 'o'},
                   force_flag(),
                   {"split", "NAME", "Evaluate on test (default), validation or train."},
                   {"time", "", "Measure milliseconds for a batch too, deployed, as a whole and by layer."},
                   {"no-eval", "", "Do not evaluate: only what the files themselves tell."}};
  program.keys = key_names;
  program.notes = {"Exit codes: 0 done, 2 usage or configuration, 5 checkpoint, 6 environment."};
  program.configuration = key_documentation;
  program.foreign = training_sections();
  return program;
}

bool is_report(const std::string& path) {
  return begins_with(path, kReportBegin);
}

std::string made() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char text[40];
  return concat("sluice-report ", sluice_version(), ", ",
                std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts)));
}

/// What tells paths apart: without folders that all begin with, and without weights.h5 where all end with it.
std::vector<std::string> short_names(std::vector<std::string> paths) {
  const std::string end = "/weights.h5";
  const auto ends = [&](const std::string& path) { return path.size() > end.size() && ends_with(path, end); };
  if (std::all_of(paths.begin(), paths.end(), ends))
    for (std::string& path : paths) path.resize(path.size() - end.size());
  for (std::string& path : paths)
    while (path.size() > 1 && path.back() == '/') path.pop_back();
  for (;;) {
    const std::string first = paths.front().substr(0, paths.front().find('/') + 1);
    const auto begins = [&](const std::string& path) { return starts_with(path, first) && path.size() > first.size(); };
    if (first.empty() || !std::all_of(paths.begin(), paths.end(), begins)) return paths;
    for (std::string& path : paths) path.erase(0, first.size());
  }
}

std::string text_at(const ReportJson& evaluation, const char* key, const std::function<std::string(double)>& text) {
  return evaluation.contains(key) && evaluation[key].is_number() ? text(evaluation[key].get<double>()) : "-";
}

/// Some of its numbers are quantised.
bool is_narrow(const ReportSubjectData& subject) {
  const ReportJson evaluation = subject.json.value("evaluation", ReportJson::object());
  if (!evaluation.contains("average_bits") || !evaluation["average_bits"].is_number()) return false;
  const double bits = evaluation["average_bits"].get<double>();
  return bits > 0 && bits < kFloatBits;
}

/// "ms, batch 64" where all were timed alike.
std::string title_of_times(const std::vector<ReportSubjectData>& subjects) {
  std::set<std::int64_t> batches;
  for (const ReportSubjectData& subject : subjects) {
    const ReportJson evaluation = subject.json.value("evaluation", ReportJson::object());
    if (evaluation.contains("batch")) batches.insert(evaluation["batch"].get<std::int64_t>());
  }
  return batches.size() == 1 ? concat("ms, batch ", *batches.begin()) : "ms";
}

/// State, what differs, and the figures that networks are compared by.
ReportJson table_json(const std::vector<ReportSubjectData>& subjects, bool timed) {
  std::vector<RunSummary> runs;
  for (const ReportSubjectData& subject : subjects) runs.push_back(subject.run);
  const std::vector<Difference> different = differences(runs);
  ReportJson table = {{"titles", {"run", "state"}}, {"rows", ReportJson::array()}};
  for (const Difference& difference : different) table["titles"].push_back(difference.key);
  for (const char* title : {"accuracy", "loss", "density", "multiply-adds", "dense", "cost"})
    table["titles"].push_back(title);
  const bool narrow = std::any_of(subjects.begin(), subjects.end(), is_narrow);
  if (narrow) table["titles"].push_back("bits");
  table["titles"].push_back("time");
  if (timed) table["titles"].push_back(title_of_times(subjects));
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    const ReportJson& json = subjects[i].json;
    const ReportJson evaluation = json.value("evaluation", ReportJson::object());
    ReportJson row = {json["short"], json["state"]};
    for (const Difference& difference : different) row.push_back(difference.values[i]);
    row.push_back(text_at(evaluation, "accuracy", accuracy_text));
    row.push_back(text_at(evaluation, "loss", loss_text));
    row.push_back(text_at(evaluation.value("metrics", ReportJson::object()), "gate_density", share_text));
    for (const char* key : {"macs_executed", "macs_dense"}) row.push_back(text_at(evaluation, key, operations_text));
    row.push_back(text_at(evaluation, "flop_reduction", [](double times) { return share_text(1 / times); }));
    if (narrow) row.push_back(text_at(evaluation, "average_bits", bits_text));
    row.push_back(json.value("time", "-"));
    if (timed) row.push_back(text_at(evaluation, "milliseconds", milliseconds_text));
    table["rows"].push_back(std::move(row));
  }
  return table;
}

/// Of those whose networks were kept.
void add_times(std::vector<ReportSubjectData>& subjects, Progress& progress) {
  std::vector<OpenNetwork*> networks;
  for (const ReportSubjectData& subject : subjects)
    if (subject.network != nullptr) networks.push_back(subject.network.get());
  const std::vector<NetworkTime> times = time_in_turn(networks, progress);
  auto time = times.begin();
  for (ReportSubjectData& subject : subjects) {
    if (subject.network == nullptr) continue;
    subject.json["evaluation"]["milliseconds"] = time->milliseconds;
    subject.json["evaluation"]["batch"] = time->batch;
    add_spread(time->spread, subject.json);
    subject.network.reset();
    ++time;
  }
}

int report(const CommandLine& line) {
  if (line.positional().empty())
    throw Error(ExitCode::kUsage, "command line: expected a run directory or a checkpoint; see sluice-report --help");
  const Output output = output_of(line, "output", "sluice-report", is_report);
  output.refuse_inputs(line.positional());
  ReportOptions options;
  options.overrides = line.overrides();
  options.split = split_of(line, "split").value_or(Split::kTest);
  options.evaluate = !line.has("no-eval");
  const bool timed = line.has("time");
  if (timed && !options.evaluate) throw Error(ExitCode::kUsage, "command line: --time does not go with --no-eval");
  options.whole = line.positional().size() == 1;
  options.time = timed && options.whole;
  options.keep = timed && !options.whole;
  options.maps = kMaps;
  EvaluationProgress progress(line.positional().size());
  std::vector<ReportSubjectData> subjects;
  for (const std::string& path : line.positional()) subjects.push_back(report_subject(path, options, progress));
  add_times(subjects, progress.line());
  const std::vector<std::string> names = short_names(line.positional());
  const std::string title = names.size() == 1 ? line.positional().front() : concat(names.size(), " runs side by side");
  ReportJson json = {{"title", title}, {"made", made()}, {"subjects", ReportJson::array()}};
  for (std::size_t i = 0; i < subjects.size(); ++i) subjects[i].json["short"] = names[i];
  if (subjects.size() > 1) json["table"] = table_json(subjects, timed);
  for (ReportSubjectData& subject : subjects) {
    for (const ReportJson& problem : subject.json["problems"])
      std::cerr << "warning: " << subject.json["name"].get<std::string>() << ": " << problem.get<std::string>() << "\n";
    json["subjects"].push_back(std::move(subject.json));
  }
  output.write(report_page(title, json_text(json, -1)));
  report_stream(output) << "wrote " << output.path() << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("sluice-report", describe, argc, argv, report);
}
