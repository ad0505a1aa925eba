// Registers plug-ins: those linked into a program, and shared libraries that the user names.
//
// A shared library runs its code as soon as it is loaded. So only the user's own words load one: the command line, or a
// configuration file given on it; never a checkpoint.
#pragma once

#include <string>
#include <vector>

#include "core/config/config.hpp"
#include "core/graph/registry.hpp"
#include "core/plugin/plugin.hpp"

namespace sluice {

/// A registered plug-in.
struct PluginInfo {
  std::string name;
  std::string doc;
  std::string path;                ///< empty for one that is linked into the program
  std::vector<std::string> types;  ///< what it added: layer types, composites, auxiliary losses and metrics
};

/// `[plugins]`
struct PluginOptions {
  std::vector<std::string> load;  ///< paths; relative ones start at the working directory
  void describe(Keys& keys);
};

/// Checks the description and lets the plug-in register itself. Throws Error(kUsage) where it was built for another
/// interface, ABI or build of Sluice, where its registration throws, or where a type exists; the registry is then
/// unchanged.
PluginInfo register_plugin(const Plugin& plugin, Registry& registry);

/// The same for a shared library, which stays loaded until the process ends: layers made from it may live as long.
PluginInfo load_plugin(const std::string& path, Registry& registry);

/// Loads what `[plugins] load` names. Throws Error(kUsage) with one line for each plug-in that failed, after the
/// mistakes that `config` has collected so far.
std::vector<PluginInfo> load_plugins(Config& config, Registry& registry);

/// The same for a configuration that stood in a checkpoint, with the user's overrides put in: loads what the user names
/// on the command line. Throws Error(kUsage) when the checkpoint's own text asks for plug-ins and the user did not say
/// which to load.
std::vector<PluginInfo> load_plugins_for_checkpoint(Config& config, const std::string& checkpoint, Registry& registry);

}  // namespace sluice
