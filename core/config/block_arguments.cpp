// Reads the arguments of a block's call and puts them into values.
#include "core/config/block_arguments.hpp"

#include "core/base/error.hpp"
#include "core/config/expression.hpp"
#include "core/config/text.hpp"

namespace sluice {

void ArgumentReader::check(const Section& call, const std::string& name, const Block& block) {
  const std::vector<std::string> parameters = block.parameter_names();
  for (const Entry& entry : call.entries()) {
    if (contains({"block", "repeat", "from"}, entry.key) || contains(parameters, entry.key)) continue;
    const std::string nearest = nearest_match(entry.key, parameters);
    call.report(diagnostics_, entry.key,
                concat("the block ", quoted(name), " has no such parameter; it takes ",
                       parameters.empty() ? "none" : join(parameters),
                       nearest.empty() ? "" : concat("; did you mean '", nearest, "'?")));
  }
  for (const BlockParameter& parameter : block.parameters) {
    if (parameter.default_value || call.find(parameter.name) != nullptr) continue;
    call.report(diagnostics_, parameter.name, concat("required parameter of the block ", quoted(name), " is missing"));
  }
}

Arguments ArgumentReader::read(const Section& call, const Block& block, std::int64_t repetition) {
  Arguments result;
  for (const BlockParameter& parameter : block.parameters) {
    const Entry* given = call.find(parameter.name);
    Entry entry;
    if (given != nullptr && (repetition == 0 || block.first_only.count(parameter.name) == 0)) {
      entry = *given;
    } else if (parameter.default_value) {
      entry.key = "parameters";
      entry.source = block.head->find("parameters")->source;
      entry.value = *parameter.default_value;
      put_in(*block.head, entry, result);  // a default may use the parameters before it
    } else {
      entry.broken = true;
    }
    result.emplace(parameter.name, entry);
  }
  Entry which = *call.find("block");
  which.value = std::to_string(repetition);
  result.emplace(kRepetition, which);
  return result;
}

void ArgumentReader::put_in(const Section& section, Entry& entry, const Arguments& arguments) {
  if (entry.broken) return;
  const std::size_t told = entry.detail.size();  // the section's own entry has this much of it
  const auto value_of = [&](const std::string& name) -> std::string {
    const auto argument = arguments.find(name);
    if (argument == arguments.end()) {
      entry.broken = true;
      return name;
    }
    entry.take_origin_of(name, argument->second);
    return entry.broken ? name : argument->second.value;
  };
  try {
    entry.value = substitute(entry.value, [&](const std::string& inner) {
      if (!is_expression(inner)) return value_of(inner);
      const std::string known = replace_names(inner, value_of);
      return entry.broken ? "" : std::to_string(evaluate(known));
    });
    growth_.add(entry.value.size());
  } catch (const Error& error) {
    section.report(diagnostics_, entry.key, error.what() + entry.detail.substr(told));
    entry.broken = true;
  }
}

}  // namespace sluice
