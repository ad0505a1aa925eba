// The frame around every program.
#include "apps/program.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <iostream>
#include <new>

#include "core/base/error.hpp"
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
  const CommandLine line = parse_command_line(argc, argv, flags);
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

int report(const Program& program, const char* text, ExitCode code) {
  std::cerr << program.name << ": " << text << "\n";
  return static_cast<int>(code);
}

}  // namespace

int run_program(const Program& program, int argc, char** argv, const std::function<int(const CommandLine&)>& run) {
  try {
    return run_parsed(program, argc, argv, run);
  } catch (const Error& error) {
    return report(program, error.what(), error.code());
  } catch (const std::bad_alloc&) {
    return report(program, "out of memory", ExitCode::kEnvironment);
  } catch (const std::exception& error) {
    return report(program, error.what(), ExitCode::kInternal);
  }
}

}  // namespace sluice
