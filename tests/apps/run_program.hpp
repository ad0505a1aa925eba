// Runs one of the built programs and keeps what it printed.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace sluice {

struct ProgramRun {
  int code = -1;  ///< exit code; 128 + signal when a signal ended it
  std::string out, err;
};

/// `arguments` go through the shell.
inline ProgramRun run_program(const std::string& name, const std::string& arguments) {
  const std::string errors = ::testing::TempDir() + "/sluice-stderr-" + std::to_string(::getpid());
  const std::string command = std::string(SLUICE_BINARY_DIR) + "/bin/" + name + " " + arguments + " 2>" + errors;
  ProgramRun run;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return run;
  char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) run.out.append(buffer, n);
  const int status = ::pclose(pipe);
  run.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (std::FILE* file = std::fopen(errors.c_str(), "r")) {
    for (std::size_t n; (n = std::fread(buffer, 1, sizeof(buffer), file)) > 0;) run.err.append(buffer, n);
    std::fclose(file);
    std::remove(errors.c_str());
  }
  return run;
}

}  // namespace sluice
