// What programs have in common that time kernels.
#pragma once

#include <cstdio>
#include <exception>

namespace sluice {

/// Calls run(argc, argv); what it throws is printed behind the program's name, and 1 returned.
inline int speed_program(const char* name, int (*run)(int, char**), int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", name, e.what());
    return 1;
  }
}

}  // namespace sluice
