// What a plug-in exports: a description that is checked before anything of the plug-in runs, and a function that
// registers its layers. docs/adding-a-layer.md has a worked example.
#pragma once

#include <cstdint>

#include "core/plugin/build_id.hpp"  // made by the build: SLUICE_VERSION, SLUICE_INTERFACE_ID
#include "oneapi/dnnl/dnnl_version.h"

#define SLUICE_TEXT_OF(x) #x
#define SLUICE_TEXT(x) SLUICE_TEXT_OF(x)

#if defined(__clang__)
#define SLUICE_COMPILER "clang " SLUICE_TEXT(__clang_major__)
#else
#define SLUICE_COMPILER "gcc " SLUICE_TEXT(__GNUC__)
#endif

#if defined(_LIBCPP_VERSION)
#define SLUICE_STANDARD_LIBRARY "libc++"
#elif defined(_GLIBCXX_DEBUG)
#define SLUICE_STANDARD_LIBRARY "libstdc++ in debug mode"
#elif defined(_GLIBCXX_USE_CXX11_ABI) && !_GLIBCXX_USE_CXX11_ABI
#define SLUICE_STANDARD_LIBRARY "libstdc++ before C++11"
#else
#define SLUICE_STANDARD_LIBRARY "libstdc++"
#endif

/// What must be equal for C++ objects to pass between a program and a plug-in.
#define SLUICE_ABI SLUICE_COMPILER ", " SLUICE_STANDARD_LIBRARY ", oneDNN " SLUICE_TEXT(DNNL_VERSION_MAJOR)
/// The release, and a digest of the headers that a plug-in may include.
#define SLUICE_BUILD SLUICE_VERSION " (interface " SLUICE_INTERFACE_ID ")"

namespace sluice {

class Registry;

/// Version of struct Plugin. The members up to `build` keep their place in every version.
constexpr std::uint32_t kPluginInterface = 1;

struct Plugin {
  std::uint32_t interface_version = 0;
  const char* abi = nullptr;    ///< SLUICE_ABI
  const char* build = nullptr;  ///< SLUICE_BUILD
  const char* name = nullptr;
  const char* doc = nullptr;  ///< one line
  /// Adds the plug-in's types. May throw.
  void (*register_types)(Registry&) = nullptr;
};

/// The description of a plug-in that is compiled here. Only for `constexpr` objects: were it called at run time, the
/// linker might take the program's copy of it, with the program's answers.
constexpr Plugin describe_plugin(const char* name, const char* doc, void (*register_types)(Registry&)) {
  return {kPluginInterface, SLUICE_ABI, SLUICE_BUILD, name, doc, register_types};
}

}  // namespace sluice

/// The function that a run-time plug-in defines. It returns the address of a static constexpr object.
extern "C" __attribute__((visibility("default"))) const sluice::Plugin* sluice_plugin();
