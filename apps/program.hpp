// What the mains of all programs have in common: --help, --version, errors on one line, exit codes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/config/command_line.hpp"

namespace sluice {

struct Program {
  std::string usage;                               ///< what follows the name: "FILE.h5 [options]"
  std::string summary;                             ///< one or more sentences
  std::vector<Flag> flags;                         ///< beside --help and --version
  std::vector<std::string> notes;                  ///< paragraphs behind the flags: the exit codes
  std::function<std::string()> configuration;      ///< the documentation of all keys (print_docs); may be empty
  std::vector<std::string> foreign;                ///< sections of it that are not the program's: "train"
  std::function<std::vector<std::string>()> keys;  ///< "train.epochs" and all others; may be empty
  std::vector<std::string> usual = {};             ///< keys that --help shows: "train.epochs"
  std::vector<std::string> exact = {"csv", "json", "markdown"};  ///< flags with which programs read what is printed
  bool prints = true;  ///< its result goes to standard output, which must not be closed
};

/// Parses the command line of the program that `describe` returns, answers --help and --version, else calls `run`,
/// whose result is the exit code. An Error becomes "<name>: <text>" on stderr and its exit code, want of memory exit
/// code 6; output that cannot be written is an error too.
int run_program(const char* name, Program (*describe)(), int argc, char** argv,
                const std::function<int(const CommandLine&)>& run);

}  // namespace sluice
