// Chooses what to do, and where: files with an intact seal here, all others in a child process.
#include "core/checkpoint/inspect.hpp"

#include <ostream>
#include <sstream>

#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/printable.hpp"
#include "core/checkpoint/inspect_model.hpp"
#include "core/checkpoint/protected_child.hpp"

namespace sluice {
namespace {

using detail::InspectedFile;
using detail::Json;

constexpr int kDone = static_cast<int>(ExitCode::kDone), kDifferent = static_cast<int>(ExitCode::kInternal),
              kDamaged = static_cast<int>(ExitCode::kCheckpoint);

void print_json(std::ostream& out, const Json& json) {
  out << json_text(json) << "\n";
}

/// Calls `print` under a heading where there is more than one part.
template <class Print>
void print_part(std::ostream& out, bool headings, const char* title, Print print) {
  if (headings) out << "[" << title << "]\n";
  print();
  if (headings) out << "\n";
}

int show_text(const InspectedFile& file, const InspectOptions& options, std::ostream& out) {
  const int parts = options.config + options.history + options.gates +
                    (options.stats && (options.config || options.history || options.gates));
  if (parts == 0) {
    const Json header = detail::header_json(file);
    detail::print_header(out, header);
    out << "\n";
    detail::print_tensors(out, detail::tensors_json(file, options), header);
    return kDone;
  }
  const bool headings = parts > 1;
  if (options.stats)
    print_part(out, headings, "tensors",
               [&] { detail::print_tensors(out, detail::tensors_json(file, options), detail::header_json(file)); });
  if (options.gates)
    print_part(out, headings, "gates", [&] { detail::print_gates(out, detail::gates_json(file, options.filter)); });
  if (options.history)
    print_part(out, headings, "history", [&] { detail::print_history(out, detail::history_json(file)); });
  if (options.config) print_part(out, headings, "config", [&] { out << detail::config_text(file); });
  return kDone;
}

int show_json(const InspectedFile& file, const InspectOptions& options, std::ostream& out) {
  Json json = detail::header_json(file);
  const bool all = !options.config && !options.history && !options.gates;
  if (all || options.stats) json["tensors"] = detail::tensors_json(file, options);
  if (options.gates) {
    Json gates = detail::gates_json(file, options.filter);
    json["gates"] = std::move(gates["layers"]);
    json["gate_totals"] = std::move(gates["totals"]);
  }
  if (options.history) json["history"] = detail::history_json(file);
  if (options.config) json["config"] = detail::config_text(file);
  print_json(out, json);
  return kDone;
}

int compare(const InspectOptions& options, std::ostream& out) {
  const InspectedFile a = InspectedFile::open(options.file), b = InspectedFile::open(options.diff);
  const Json diff = detail::diff_json(a, b, options.filter);
  if (options.json)
    print_json(out, diff);
  else
    detail::print_diff(out, diff);
  return diff["equal"].get<bool>() ? kDone : kDifferent;
}

int show(const InspectOptions& options, std::ostream& out) {
  if (!options.diff.empty()) return compare(options, out);
  const InspectedFile file = InspectedFile::open(options.file);
  return options.json ? show_json(file, options, out) : show_text(file, options, out);
}

/// One line for each problem of a file that is opened here; for verification.
int list_problems(const std::string& path, std::ostream& out) {
  for (const std::string& problem : detail::find_problems(InspectedFile::open(path))) out << one_line(problem) << "\n";
  return kDone;
}

std::string crash_text(const std::string& path, const ChildResult& result) {
  const bool crashed = result.end == ChildResult::End::kCrashed;
  return concat(path, ": ", crashed ? "the HDF5 library crashed on this file: reading it " : "reading this file ",
                result.describe);
}

std::string without_newline(std::string text) {
  text.erase(text.find_last_not_of('\n') + 1);
  return text;
}

std::vector<std::string> verify_problems(const InspectOptions& options, const SealReport& seal) {
  const auto list = [&options](std::ostream& out, std::ostream&) { return list_problems(options.file, out); };
  std::vector<std::string> problems;
  std::ostringstream found;
  if (seal.state == SealReport::State::kIntact) {
    list(found, found);
  } else {
    problems.push_back(seal.text);
    const ChildResult result = run_in_child(list, {options.timeout_seconds});
    if (result.end != ChildResult::End::kReturned)
      problems.push_back(crash_text(options.file, result));
    else
      found << result.out << result.err;
  }
  std::istringstream lines(found.str());
  for (std::string line; std::getline(lines, line);) problems.push_back(line);
  return problems;
}

int verify(const InspectOptions& options, std::ostream& out) {
  const SealReport seal = check_seal(options.file);
  const std::vector<std::string> problems = verify_problems(options, seal);
  if (options.json) {
    print_json(out, {{"file", options.file}, {"ok", problems.empty()}, {"problems", problems}});
  } else if (problems.empty()) {
    out << options.file << ": intact\n";
  } else {
    for (const std::string& problem : problems) out << problem << "\n";
    out << options.file << ": " << problems.size() << (problems.size() == 1 ? " problem\n" : " problems\n");
  }
  return problems.empty() ? kDone : kDamaged;
}

/// Shows what can be shown of files of which at least one has no intact seal.
int show_protected(const InspectOptions& options, const std::vector<SealReport>& seals, std::ostream& out,
                   std::ostream& err) {
  std::string damage;
  for (const SealReport& seal : seals) {
    if (seal.state == SealReport::State::kDamaged) damage += (damage.empty() ? "" : "\n") + seal.text;
  }
  const auto work = [&options](std::ostream& child_out, std::ostream&) { return show(options, child_out); };
  const ChildResult result = run_in_child(work, {options.timeout_seconds});
  const bool returned = result.end == ChildResult::End::kReturned;
  const std::string problem = returned ? without_newline(result.err) : crash_text(options.file, result);
  if (!problem.empty()) {
    // What the library makes of a damaged file says less than what the seal found, unless it crashed.
    const std::string text = damage.empty() ? problem : returned ? damage : damage + "\n" + problem;
    const int code = returned ? result.code : kDamaged;
    throw ErrorLines(static_cast<ExitCode>(code), text);
  }
  out << result.out;
  if (!damage.empty()) err << damage << "; shown is what can still be read\n";
  return damage.empty() ? result.code : kDamaged;
}

}  // namespace

int inspect(const InspectOptions& options, std::ostream& out, std::ostream& err) {
  if (options.verify) return verify(options, out);
  std::vector<SealReport> seals = {check_seal(options.file)};
  if (!options.diff.empty()) seals.push_back(check_seal(options.diff));
  for (const SealReport& seal : seals) {
    if (seal.state != SealReport::State::kIntact) return show_protected(options, seals, out, err);
  }
  return show(options, out);
}

}  // namespace sluice
