#include "core/train/stored_network.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/plugin/load.hpp"

namespace sluice {

std::shared_ptr<ConfiguredNetwork> network_of(const Checkpoint& checkpoint, const Registry& registry,
                                              const std::string& where) {
  std::vector<std::string> plugins;
  try {
    Config config = Config::stored(checkpoint.config, checkpoint.file);
    plugins = config.read<PluginOptions>("plugins").load;
    return std::make_shared<ConfiguredNetwork>(std::move(config), registry);
  } catch (const Error& error) {
    std::string text = error.what();
    text.resize(std::min(text.find('\n'), text.size()));
    if (!plugins.empty())
      text += concat("; the network was made with plug-ins (", plugins.front(), plugins.size() > 1 ? ", ..." : "",
                     "): load them first (plugins.load)");
    throw Error(error.code(), concat(where, ": ", text));
  }
}

}  // namespace sluice
