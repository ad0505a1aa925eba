// The frame around every program.
#include "apps/program.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <new>
#include <system_error>

#include "apps/help.hpp"
#include "core/base/descriptor.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/base/printable.hpp"
#include "core/base/system_error.hpp"
#include "core/base/wrap.hpp"
#include "core/graph/onednn_crash.hpp"
#include "core/graph/version.hpp"

namespace sluice {
namespace {

[[noreturn]] void refuse_output(int error_number) {
  throw Error(ExitCode::kEnvironment,
              concat("cannot write to standard output: ", system_reason(error_number, Access::kWrite)));
}

/// Before any work is done.
void check_open_output() {
  const int access = ::fcntl(STDOUT_FILENO, F_GETFL);
  if (access < 0 || (access & O_ACCMODE) == O_RDONLY) refuse_output(EBADF);
}

void check_output() {
  errno = 0;
  if (std::cout.flush()) return;
  // Where an earlier write failed its reason is lost; asking again gives it once more.
  if (errno == 0 && ::write(STDOUT_FILENO, "\n", 1) == 1) errno = EIO;
  refuse_output(errno);
}

/// While it lives, what a stream prints is printable, whatever file it came from, and its lines fit a terminal.
class PrintableStream {
 public:
  PrintableStream(std::ostream& stream, int fd)
      : stream_(stream), own_(stream.rdbuf()), lines_(*own_, fd), buffer_(lines_) {
    stream_.rdbuf(&buffer_);
  }
  ~PrintableStream() {
    try {
      buffer_.pubsync();
    } catch (const std::exception&) {  // no memory for the last bytes
    }
    stream_.rdbuf(own_);
  }
  PrintableStream(const PrintableStream&) = delete;
  PrintableStream& operator=(const PrintableStream&) = delete;

  /// What is printed is read by programs: its lines stay whole.
  void keep_lines() { lines_.stop(); }

 private:
  std::ostream& stream_;
  std::streambuf* own_;
  WrappingBuffer lines_;
  PrintableBuffer buffer_;
};

void help(const char* name, const Program& program, const std::vector<Flag>& flags, const CommandLine& line) {
  const std::vector<std::string>& topics = line.positional();
  const bool about = program.configuration && topics.size() == 1;
  const bool all = about && topics[0] == "all";
  if (all) {
    print_help(std::cout, name, program, flags);
    std::cout << "\n";
  }
  if (!about || !print_help_on(std::cout, topics[0], program)) print_help(std::cout, name, program, flags);
}

void check_overrides(const Program& program, const CommandLine& line) {
  if (!program.keys && !line.overrides().empty())
    throw Error(ExitCode::kUsage, concat("command line: there is nothing to configure: ", line.overrides().front()));
}

int run_parsed(const char* name, const Program& program, int argc, char** argv, PrintableStream& out,
               const std::function<int(const CommandLine&)>& run) {
  std::vector<Flag> flags = program.flags;
  flags.push_back({"help", "",
                   program.configuration ? "Print this text, or that of the section behind it." : "Print this text.",
                   'h'});
  flags.push_back({"version", "", "Print the versions of program, libraries and processor."});
  const CommandLine line = parse_command_line(argc, argv, flags, program.keys);
  if (program.prints) check_open_output();
  const auto given = [&](const std::string& flag) { return line.has(flag); };
  if (std::any_of(program.exact.begin(), program.exact.end(), given)) out.keep_lines();
  int code = static_cast<int>(ExitCode::kDone);
  if (line.has("help")) {
    help(name, program, flags, line);
  } else if (line.has("version")) {
    std::cout << version_text(name);
  } else {
    check_overrides(program, line);
    code = run(line);
  }
  check_output();
  return code;
}

/// Allocates nothing: memory may be what is wanting. At once: others may write to the same terminal.
int report(const char* name, const char* text, ExitCode code) {
  const auto part = [](const char* bytes) { return iovec{const_cast<char*>(bytes), std::strlen(bytes)}; };
  const iovec parts[] = {part(name), part(": "), part(text), part("\n")};
  static_cast<void>(!::writev(STDERR_FILENO, parts, 4));
  return static_cast<int>(code);
}

/// Broken between words where it is too long for a terminal.
int report_lines(const char* name, const std::string& text, ExitCode code) {
  const std::string lines = lines_for(STDERR_FILENO, concat(name, ": ", text, "\n"));
  static_cast<void>(!::write(STDERR_FILENO, lines.data(), lines.size()));
  return static_cast<int>(code);
}

/// The program that is between its start and its end, for who ends it in between.
const char* running = nullptr;

/// OpenMP's runtime ends a process by itself where it gets no thread or no memory, with code 1 and a line of its own.
void end_of_process() {
  if (running == nullptr) return;
  std::cerr << running << ": a library ended the program (see above); free memory, or use fewer threads\n";
  std::_Exit(static_cast<int>(ExitCode::kEnvironment));
}

std::terminate_handler terminate_before = nullptr;

/// Want of memory where nothing may be thrown, as in destructors of libraries, ends the process in a line as well.
void on_terminate() {
  try {
    if (const std::exception_ptr thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::bad_alloc&) {
    for (const char* text : {running != nullptr ? running : "sluice", ": out of memory\n"})
      static_cast<void>(!::write(STDERR_FILENO, text, std::strlen(text)));
    std::_Exit(static_cast<int>(ExitCode::kEnvironment));
  } catch (...) {  // somebody's mistake
  }
  terminate_before();
}

int report_exception(const char* name) try {
  try {
    throw;
  } catch (const ErrorLines& error) {
    return report_lines(name, error.what(), error.code());
  } catch (const Error& error) {
    return report_lines(name, one_line(error.what()), error.code());
  } catch (const std::bad_alloc&) {
    return report(name, "out of memory", ExitCode::kEnvironment);
  } catch (const std::system_error& error) {  // of std::filesystem, or a thread that does not start
    const std::string advice = system_advice(error.code().value(), Access::kWrite);
    return report_lines(name, one_line(concat(error.what(), "; ", advice)), ExitCode::kEnvironment);
  } catch (const std::exception& error) {
    return report_lines(name, one_line(error.what()), ExitCode::kInternal);
  }
} catch (...) {
  return report(name, "out of memory", ExitCode::kEnvironment);
}

}  // namespace

int run_program(const char* name, Program (*describe)(), int argc, char** argv,
                const std::function<int(const CommandLine&)>& run) {
  ::signal(SIGXFSZ, SIG_IGN);  // a limit on the size of files is an error of the write
  occupy_standard_descriptors();
  running = name;
  std::atexit(end_of_process);
  terminate_before = std::set_terminate(on_terminate);
  int code = 0;
  try {
    PrintableStream out(std::cout, STDOUT_FILENO);
    const PrintableStream err(std::cerr, STDERR_FILENO);
    explain_crashes_of_onednn(name);
    available_threads();  // counted before anything binds this thread
    code = run_parsed(name, describe(), argc, argv, out, run);
  } catch (...) {
    code = report_exception(name);
  }
  running = nullptr;
  return code;
}

}  // namespace sluice
