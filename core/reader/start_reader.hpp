// Starts the program that reads files. In a file of its own, so that fuzzers can put a thread in its place.
#pragma once

#include <sys/types.h>

#include <string>

namespace sluice {

struct StartedReader {
  int socket;     ///< the other end is the reader's
  pid_t process;  ///< -1 where it is none of its own
};

/// `shared_memory`: a descriptor, or -1. Throws Error(kEnvironment).
StartedReader start_reader(const std::string& program, int shared_memory);

}  // namespace sluice
