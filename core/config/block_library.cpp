// Reads the blocks that a configuration declares.
#include "core/config/block_library.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/config/expression.hpp"
#include "core/config/substitute.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

const std::set<std::string> kReserved = {"type", "block", "repeat", "from", "share", "after", "remove", "replace"};

/// A parameter's default may use the parameters before it.
void check_default(const Section& head, const BlockParameter& parameter, const Block& block, Diagnostics& diagnostics) {
  if (!parameter.default_value) return;
  const auto check_name = [&](const std::string& name) {
    if (block.find_parameter(name) == nullptr) {
      head.report(
          diagnostics, "parameters",
          concat("the default of ", quoted(parameter.name), " uses ${", name, "}, which is no parameter before it"));
    }
    return name;
  };
  try {
    substitute(*parameter.default_value, [&](const std::string& inner) {
      return is_expression(inner) ? replace_names(inner, check_name) : check_name(inner);
    });
  } catch (const Error& error) {
    head.report(diagnostics, "parameters", error.what());
  }
}

void read_parameters(const Section& head, Block& block, Diagnostics& diagnostics) {
  const Entry* list = head.find("parameters");
  if (list == nullptr || list->broken) return;
  const auto report = [&](const std::string& text) { head.report(diagnostics, "parameters", text); };
  for (const BlockParameter& parameter : parse_parameters(list->items())) {
    if (!is_name(parameter.name) || parameter.name.find('.') != std::string::npos) {
      report(concat("expected names separated by commas, as in 'channels, stride=1', got ", quoted(parameter.name)));
    } else if (kReserved.count(parameter.name) != 0) {
      report(concat(quoted(parameter.name), " is a key of its own and cannot be a parameter"));
    } else if (block.find_parameter(parameter.name) != nullptr) {
      report(concat("the parameter ", quoted(parameter.name), " stands there twice"));
    } else {
      check_default(head, parameter, block, diagnostics);
      block.parameters.push_back(parameter);
    }
  }
}

void read_first_only(const Section& head, Block& block, Diagnostics& diagnostics) {
  const Entry* list = head.find("first_only");
  if (list == nullptr || list->broken) return;
  for (const std::string& name : list->items()) {
    const BlockParameter* parameter = block.find_parameter(name);
    if (parameter == nullptr) {
      head.report(diagnostics, "first_only",
                  concat(quoted(name), " is no parameter of the block",
                         suggestion(name, block.parameter_names(), "its parameters")));
    } else if (!parameter->default_value) {
      head.report(diagnostics, "first_only",
                  concat("the parameter ", quoted(name), " needs a default, which the later repetitions take; write ",
                         name, "=VALUE in 'parameters'"));
    } else {
      block.first_only.insert(name);
    }
  }
}

Block read_head(const Section& head, Diagnostics& diagnostics) {
  Block block;
  block.head = &head;
  read_parameters(head, block, diagnostics);
  read_first_only(head, block, diagnostics);
  const std::vector<std::string> known = {"parameters", "first_only"};
  for (const Entry& entry : head.entries()) {
    if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
    head.report(diagnostics, entry.key, concat("unknown key", suggestion(entry.key, known, "known keys")));
  }
  return block;
}

}  // namespace

std::vector<BlockParameter> parse_parameters(const std::vector<std::string>& items) {
  std::vector<BlockParameter> parameters;
  for (const std::string& item : items) {
    const std::size_t equals = item.find('=');
    BlockParameter parameter;
    parameter.name = trim(item.substr(0, equals));
    if (equals != std::string::npos) parameter.default_value = trim(item.substr(equals + 1));
    parameters.push_back(parameter);
  }
  return parameters;
}

const BlockParameter* Block::find_parameter(const std::string& name) const {
  const auto found = std::find_if(parameters.begin(), parameters.end(),
                                  [&](const BlockParameter& parameter) { return parameter.name == name; });
  return found == parameters.end() ? nullptr : &*found;
}

std::vector<std::string> Block::parameter_names() const {
  std::vector<std::string> names;
  for (const BlockParameter& parameter : parameters) names.push_back(parameter.name);
  return names;
}

std::map<std::string, Block> read_blocks(Config& config) {
  constexpr std::size_t kPrefix = 6;  // "block."
  std::map<std::string, Block> blocks;
  std::vector<std::string> sections;
  Diagnostics& diagnostics = config.diagnostics();
  for (const Section& section : config.sections()) {
    if (!starts_with(section.name(), "block.") || section.source().file.empty()) continue;
    sections.push_back(section.name());
    if (section.name().find('.', kPrefix) == std::string::npos) {
      blocks.emplace(section.name().substr(kPrefix), read_head(section, diagnostics));
    }
  }
  std::vector<std::string> names;
  for (const auto& [name, block] : blocks) names.push_back(name);
  for (const Section& section : config.sections()) {
    const std::size_t dot = section.name().find('.', kPrefix);
    if (!starts_with(section.name(), "block.")) continue;
    if (section.source().file.empty()) {
      diagnostics.error({}, section.name(), section.entries().front().key,
                        concat("unknown section", suggestion(section.name(), sections, "sections of blocks")));
      continue;
    }
    if (dot == std::string::npos) continue;
    const std::string name = section.name().substr(kPrefix, dot - kPrefix);
    const auto block = blocks.find(name);
    if (block == blocks.end()) {
      section.report(diagnostics, "", concat("there is no [block.", name, "]", suggestion(name, names, "blocks")));
    } else if (section.name().substr(dot + 1) == "input") {
      section.report(diagnostics, "", "'input' means the block's input and cannot name a layer");
    } else {
      block->second.layers.push_back(&section);
    }
  }
  return blocks;
}

}  // namespace sluice
