#include "core/plugin/load.hpp"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/system_error.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEntry = "sluice_plugin";

[[noreturn]] void refuse(const std::string& who, const std::string& why) {
  throw Error(ExitCode::kUsage, concat(who, ": ", why));
}

std::string text_or_unknown(const char* text) {
  return text != nullptr ? text : "an unknown one";
}

/// Throws unless objects may pass between this program and the plug-in.
void check_compatible(const Plugin& plugin, const std::string& who) {
  if (plugin.interface_version != kPluginInterface) {
    refuse(who, concat("has version ", plugin.interface_version, " of the plug-in interface, this program has version ",
                       kPluginInterface, "; build it against Sluice " SLUICE_VERSION));
  }
  if (plugin.abi == nullptr || std::strcmp(plugin.abi, SLUICE_ABI) != 0) {
    refuse(who, concat("was built with ", text_or_unknown(plugin.abi), ", this program with ", SLUICE_ABI,
                       "; build both with the same compiler, standard library and oneDNN"));
  }
  if (plugin.build == nullptr || std::strcmp(plugin.build, SLUICE_BUILD) != 0) {
    refuse(who, concat("was built for Sluice ", text_or_unknown(plugin.build), ", this is ", SLUICE_BUILD,
                       "; build it again with the headers of this Sluice"));
  }
  if (plugin.name == nullptr || plugin.doc == nullptr || plugin.register_types == nullptr) {
    refuse(who, "its description lacks the name, the documentation or the function that registers types");
  }
}

std::vector<std::string> all_types(const Registry& registry) {
  std::vector<std::string> names = registry.types();
  for (const std::string& name : registry.auxiliary_losses()) names.push_back(name);
  for (const MetricType& metric : registry.metrics()) names.push_back(metric.name);
  std::sort(names.begin(), names.end());
  return names;
}

/// Benchmarks make networks of them.
void check_dense_types(const Registry& registry, const std::string& who) {
  for (const std::string& type : registry.types()) {
    const std::string dense = registry.dense_type(type);
    if (!dense.empty() && !registry.is_layer(dense))
      refuse(who, concat("add_dense_type(\"", type, "\", \"", dense, "\"): there is no layer type '", dense,
                         "'; name one that computes all of what '", type, "' computes, such as conv"));
  }
}

PluginInfo register_as(const std::string& who, const std::string& path, const Plugin& plugin, Registry& registry) {
  check_compatible(plugin, who);
  Registry extended = registry;
  try {
    plugin.register_types(extended);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    refuse(who, error.what());
  } catch (...) {
    refuse(who, concat("registering '", plugin.name, "' threw what is not a std::exception"));
  }
  check_dense_types(extended, who);
  PluginInfo info{plugin.name, plugin.doc, path, {}};
  const std::vector<std::string> before = all_types(registry), after = all_types(extended);
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(info.types));
  registry = std::move(extended);
  return info;
}

/// Throws unless there is a file that could be a shared library. The dynamic linker's own words for this vary.
void check_file(const std::string& path, const std::string& who) {
  std::error_code problem;
  const fs::file_status status = fs::status(path, problem);
  if (status.type() == fs::file_type::not_found) refuse(who, "there is no such file");
  if (status.type() == fs::file_type::directory) refuse(who, "is a directory; a shared library was expected");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) refuse(who, concat("cannot be read: ", system_reason(errno, Access::kRead)));
  char magic[4] = {};
  file.read(magic, sizeof magic);
  if (file.gcount() != sizeof magic || std::memcmp(magic,
                                                   "\x7f"
                                                   "ELF",
                                                   sizeof magic) != 0) {
    refuse(who, "is not a shared library");
  }
}

/// The last error of the dynamic linker, without the path that it starts with.
std::string linker_error(const std::string& path) {
  const char* raw = dlerror();
  const std::string text = raw != nullptr ? raw : "unknown reason";
  return starts_with(text, path + ": ") ? text.substr(path.size() + 2) : text;
}

/// The entry function that the library itself defines, not one of the libraries it needs.
void* find_entry(void* library) {
  void* const entry = dlsym(library, kEntry);
  link_map* map = nullptr;
  Dl_info info{};
  if (entry == nullptr || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0 || dladdr(entry, &info) == 0) return nullptr;
  return reinterpret_cast<ElfW(Addr)>(info.dli_fbase) == map->l_addr ? entry : nullptr;
}

}  // namespace

void PluginOptions::describe(Keys& keys) {
  keys.paths("load", load, "shared libraries with more layers; relative paths start at the working directory");
  keys.role(KeyRole::kNothing, {"load"}, "its layers are taken to be the same");
}

PluginInfo register_plugin(const Plugin& plugin, Registry& registry) {
  return register_as(concat("plug-in '", plugin.name != nullptr ? plugin.name : "?", "'"), "", plugin, registry);
}

PluginInfo load_plugin(const std::string& path, Registry& registry) {
  const std::string who = concat("plug-in ", quoted(path));
  check_file(path, who);
  // A name without a directory would be looked for in the system's folders.
  const std::string absolute = fs::absolute(path).string();
  void* const library = dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) refuse(who, concat("cannot be loaded: ", linker_error(absolute)));
  void* const symbol = find_entry(library);
  if (symbol == nullptr) {
    refuse(who, concat("is a shared library, but no plug-in: it does not define ", kEntry, "()"));
  }
  const Plugin* const plugin = reinterpret_cast<const Plugin* (*)()>(symbol)();
  if (plugin == nullptr) refuse(who, concat(kEntry, "() returned nothing"));
  return register_as(who, absolute, *plugin, registry);
}

std::vector<PluginInfo> load_plugins(Config& config, Registry& registry) {
  const PluginOptions options = config.read<PluginOptions>("plugins");
  const Section& section = config.section("plugins");
  std::vector<PluginInfo> loaded;
  bool failed = false;
  for (const std::string& path : options.load) {
    const bool twice = std::any_of(loaded.begin(), loaded.end(), [&](const PluginInfo& info) {
      std::error_code problem;
      return fs::equivalent(path, info.path, problem);
    });
    try {
      if (twice) refuse(concat("plug-in ", quoted(path)), "is named twice; name it once");
      loaded.push_back(load_plugin(path, registry));
    } catch (const Error& error) {
      section.report(config.diagnostics(), "load", error.what());
      failed = true;
    }
  }
  // Unknown types would only follow from it.
  if (failed) config.diagnostics().throw_if_errors();
  return loaded;
}

std::vector<PluginInfo> load_plugins_for_checkpoint(Config& config, const std::string& checkpoint, Registry& registry) {
  const Section* const section = config.find("plugins");
  const Entry* const entry = section != nullptr ? section->find("load") : nullptr;
  // Entry::origin would not do: it is kCommandLine also where only a definition in the value came from there.
  const bool from_checkpoint = entry != nullptr && !entry->source.file.empty();
  if (from_checkpoint && !entry->items().empty()) {
    throw Error(
        ExitCode::kUsage,
        concat(checkpoint, ": its configuration asks for the plug-in ", quoted(entry->value),
               ", and a checkpoint may not load code; if you trust that file, add --plugins.load=", entry->value));
  }
  return load_plugins(config, registry);
}

}  // namespace sluice
