// The description of a plug-in, for each way in which it can be right or wrong; FIXTURE_* definitions choose.
#include <stdexcept>

#include "core/plugin/plugin.hpp"

#ifndef FIXTURE_TYPE
#define FIXTURE_TYPE "fixture"
#endif

// In fixture_types.cpp, and for it.
void fixture_register(sluice::Registry& registry);
const char* fixture_type();
void fixture_registered();

const char* fixture_type() {
  return FIXTURE_TYPE;
}

void fixture_registered() {
#if defined(FIXTURE_THROWS)
  throw std::runtime_error("this processor is too old");
#elif defined(FIXTURE_THROWS_NUMBER)
  throw 7;
#endif
}

#if defined(FIXTURE_NULL)

const sluice::Plugin* sluice_plugin() {
  return nullptr;
}

#elif !defined(FIXTURE_NO_ENTRY)

namespace {

constexpr sluice::Plugin changed(sluice::Plugin plugin) {
#if defined(FIXTURE_INTERFACE)
  plugin.interface_version = FIXTURE_INTERFACE;
#endif
#if defined(FIXTURE_ABI)
  plugin.abi = FIXTURE_ABI;
#endif
#if defined(FIXTURE_BUILD)
  plugin.build = FIXTURE_BUILD;
#endif
#if defined(FIXTURE_NAMELESS)
  plugin.name = nullptr;
#endif
  return plugin;
}

}  // namespace

const sluice::Plugin* sluice_plugin() {
  static constexpr sluice::Plugin kPlugin = changed(sluice::describe_plugin("fixture", "a test", fixture_register));
  return &kPlugin;
}

#endif

#if defined(FIXTURE_UNDEFINED)
int from_a_newer_sluice();
int use_it();
int use_it() {
  return from_a_newer_sluice();
}
#endif
