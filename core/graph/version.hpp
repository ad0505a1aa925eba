// What --version prints: of Sluice, the compiler, the libraries it runs with, and the processor.
#pragma once

#include <string>

namespace sluice {

/// "0.1.0"
std::string sluice_version();
/// "GCC 12.2.0"
std::string compiler_version();
/// Of the HDF5 library in use: "1.10.8".
std::string hdf5_version();

/// The text of --version: the program's name and version, then a line each for compiler, oneDNN and its CPU runtime,
/// HDF5, and the instruction sets found. Ends with a newline.
std::string version_text(const std::string& program);

}  // namespace sluice
