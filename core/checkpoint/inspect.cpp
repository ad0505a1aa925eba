// Asks a reader, and judges what it says and how it ends.
#include "core/checkpoint/inspect.hpp"

#include <chrono>
#include <ostream>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/checkpoint/checkpoint_read.hpp"
#include "core/checkpoint/inspect_model.hpp"
#include "core/reader/reader_process.hpp"

namespace sluice {
namespace {

using Clock = std::chrono::steady_clock;
using detail::InspectRequest;
using detail::Json;

constexpr int kDone = static_cast<int>(ExitCode::kDone), kDamaged = static_cast<int>(ExitCode::kCheckpoint);
constexpr std::int64_t kMostOutput = std::int64_t{1} << 28;

/// A reader that has one deadline for all that it is asked.
class Inspector {
 public:
  explicit Inspector(const InspectOptions& options)
      : options_(options), limits_(limits(options)), reader_("inspect", limits_), begin_(Clock::now()) {}

  SealReport seal(const std::string& file) {
    InspectOptions one;
    one.file = file;
    return read_safely(file, ExitCode::kCheckpoint, [&] {
      ask(InspectRequest::kSeal, one);
      SealReport report;
      report.state = reader_.get<SealReport::State>();
      report.text = reader_.get<std::string>();
      return report;
    });
  }
  std::vector<std::string> problems(bool edited) {
    ask(edited ? InspectRequest::kEditedProblems : InspectRequest::kProblems, options_);
    return reader_.get<std::vector<std::string>>();
  }
  /// Prints and returns the exit code.
  int show(std::ostream& out) {
    ask(InspectRequest::kShow, options_);
    const int code = reader_.get<int>();
    out << reader_.get<std::string>();
    return code;
  }

 private:
  static ReaderLimits limits(const InspectOptions& options) {
    ReaderLimits limits = limits_for(options.file);
    if (!options.diff.empty()) limits.memory_bytes += limits_for(options.diff).memory_bytes;
    if (options.timeout_seconds > 0) limits.seconds = options.timeout_seconds;
    limits.answer_bytes = kMostOutput;
    return limits;
  }
  void ask(InspectRequest what, const InspectOptions& options) {
    reader_.set_deadline(limits_.seconds - std::chrono::duration<double>(Clock::now() - begin_).count());
    reader_.ask(what, options);
    reader_.wait();
  }

  const InspectOptions& options_;
  const ReaderLimits limits_;
  ReaderProcess reader_;
  Clock::time_point begin_;
};

std::string failure_text(const std::string& path, const ReaderFailed& failed) {
  return concat(path, ": ",
                failed.crashed() ? "the HDF5 library crashed on this file: reading it " : "reading this file ",
                failed.what());
}

void add_problems(Inspector& inspector, const InspectOptions& options, bool edited,
                  std::vector<std::string>& problems) {
  try {
    for (std::string& problem : inspector.problems(edited)) problems.push_back(std::move(problem));
  } catch (const ReaderFailed& failed) {
    problems.push_back(failure_text(options.file, failed));
  } catch (const Error& error) {
    problems.emplace_back(error.what());
  }
}

std::vector<std::string> verify_problems(const InspectOptions& options) {
  Inspector inspector(options);
  const SealReport seal = inspector.seal(options.file);
  std::vector<std::string> problems;
  if (seal.state != SealReport::State::kIntact) problems.push_back(seal.text);
  add_problems(inspector, options, false, problems);
  return problems;
}

int verify(const InspectOptions& options, std::ostream& out) {
  const std::vector<std::string> problems = verify_problems(options);
  if (options.json) {
    detail::print_json(out, {{"file", options.file}, {"ok", problems.empty()}, {"problems", problems}});
  } else if (problems.empty()) {
    out << options.file << ": intact\n";
  } else {
    for (const std::string& problem : problems) out << one_line(problem) << "\n";
    out << options.file << ": " << problems.size() << (problems.size() == 1 ? " problem\n" : " problems\n");
  }
  return problems.empty() ? kDone : kDamaged;
}

/// What the library makes of a damaged file says less than what its seal says, unless it crashed.
int show(const InspectOptions& options, std::ostream& out, std::ostream& err) {
  Inspector inspector(options);
  std::string damage;
  for (const std::string& file : {options.file, options.diff}) {
    const SealReport seal = file.empty() ? SealReport{} : inspector.seal(file);
    if (seal.state == SealReport::State::kDamaged) damage += (damage.empty() ? "" : "\n") + one_line(seal.text);
  }
  int code = kDone;
  try {
    code = inspector.show(out);
  } catch (const ReaderFailed& failed) {
    damage += (damage.empty() ? "" : "\n") + one_line(failure_text(options.file, failed));
    throw ErrorLines(ExitCode::kCheckpoint, damage);
  } catch (const Error& error) {
    if (damage.empty()) throw;
    throw ErrorLines(error.code(), damage);
  }
  if (damage.empty()) return code;
  err << damage << "; shown is what can still be read\n";
  return kDamaged;
}

}  // namespace

int inspect(const InspectOptions& options, std::ostream& out, std::ostream& err) {
  return options.verify ? verify(options, out) : show(options, out, err);
}

Checkpoint read_edited(const InspectOptions& options) {
  Inspector inspector(options);
  if (inspector.seal(options.file).state == SealReport::State::kIntact)
    throw Error(ExitCode::kUsage, options.file + ": its seal is intact; use it as it is");
  std::vector<std::string> problems;
  add_problems(inspector, options, true, problems);
  if (problems.empty()) return load_edited(options.file);
  std::string text;
  for (const std::string& problem : problems) text += one_line(problem) + "\n";
  throw ErrorLines(ExitCode::kCheckpoint, text + one_line(concat(options.file, ": ", problems.size(),
                                                                 problems.size() == 1 ? " problem" : " problems",
                                                                 "; nothing was written; mend what is named above")));
}

}  // namespace sluice
