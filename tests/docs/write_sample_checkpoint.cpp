// Writes the tests' sample checkpoint to the path given.
#include <iostream>

#include "tests/core/checkpoint/sample.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    sluice::save(sluice::sample_checkpoint(), argv[1]);
  } catch (const sluice::Error& error) {
    std::cerr << error.what() << "\n";
    return static_cast<int>(error.code());
  }
}
