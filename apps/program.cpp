// The frame around every program.
#include "apps/program.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <iostream>
#include <new>

#include "core/base/error.hpp"
#include "core/base/printable.hpp"
#include "core/base/version.hpp"

namespace sluice {
namespace {

void print_help(const Program& program, const std::vector<Flag>& flags) {
  std::cout << "Usage: " << program.name << " " << program.usage << "\n" << program.summary << "\n\nOptions:\n";
  print_flags(std::cout, flags);
  if (program.more_help) program.more_help(std::cout);
}

void check_output() {
  errno = 0;
  if (std::cout.flush()) return;
  // Where an earlier write failed its reason is lost; asking again gives it once more.
  if (errno == 0 && ::write(STDOUT_FILENO, "\n", 1) == 1) errno = EIO;
  throw Error(ExitCode::kEnvironment, concat("cannot write to standard output: ", std::strerror(errno)));
}

int run_parsed(const Program& program, int argc, char** argv, const std::function<int(const CommandLine&)>& run) {
  std::vector<Flag> flags = program.flags;
  flags.push_back({"help", "", "Print this text.", 'h'});
  flags.push_back({"version", "", "Print the versions of the program, its libraries and the processor."});
  const CommandLine line = parse_command_line(argc, argv, flags, program.keys);
  int code = static_cast<int>(ExitCode::kDone);
  if (line.has("help"))
    print_help(program, flags);
  else if (line.has("version"))
    std::cout << version_text(program.name);
  else
    code = run(line);
  check_output();
  return code;
}

int report(const Program& program, const std::string& text, ExitCode code) {
  std::cerr << program.name << ": " << text << "\n";
  return static_cast<int>(code);
}

/// While it lives, what a stream prints is printable, whatever file it came from.
class PrintableStream {
 public:
  explicit PrintableStream(std::ostream& stream) : stream_(stream), own_(stream.rdbuf()), buffer_(*own_) {
    stream_.rdbuf(&buffer_);
  }
  ~PrintableStream() {
    buffer_.pubsync();
    stream_.rdbuf(own_);
  }
  PrintableStream(const PrintableStream&) = delete;
  PrintableStream& operator=(const PrintableStream&) = delete;

 private:
  std::ostream& stream_;
  std::streambuf* own_;
  PrintableBuffer buffer_;
};

}  // namespace

int run_program(const Program& program, int argc, char** argv, const std::function<int(const CommandLine&)>& run) {
  const PrintableStream out(std::cout), err(std::cerr);
  try {
    return run_parsed(program, argc, argv, run);
  } catch (const ErrorLines& error) {
    return report(program, error.what(), error.code());
  } catch (const Error& error) {
    return report(program, one_line(error.what()), error.code());
  } catch (const std::bad_alloc&) {
    return report(program, "out of memory", ExitCode::kEnvironment);
  } catch (const std::exception& error) {
    return report(program, one_line(error.what()), ExitCode::kInternal);
  }
}

}  // namespace sluice
