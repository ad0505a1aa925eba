// Reads and checks `[optimizer]` and the `[group.NAME]` sections.
#include <algorithm>
#include <set>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "core/train/optimizer.hpp"

namespace sluice {
namespace {

constexpr const char kGroupPrefix[] = "group.";

std::string joined(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string unknown_group(const std::string& name, const std::set<std::string>& known) {
  const std::string near = nearest_match(name, {known.begin(), known.end()});
  return concat("the network has no parameter group '", name, "'; it has ", joined(known),
                near.empty() ? "" : " (did you mean '" + near + "'?)");
}

}  // namespace

void GroupOptions::describe(Keys& keys) {
  keys.optional("lr_scale", lr_scale, at_least(0.0), "factor on the learning rate of the group's parameters");
  keys.optional("weight_decay", weight_decay, at_least(0.0),
                "weight decay of the group's parameters (default: as [optimizer] says)");
}

void OptimizerOptions::describe(Keys& keys) {
  keys.choice("type", type, {{"sgd", Type::kSgd}, {"adamw", Type::kAdamW}, {"lars", Type::kLars}},
              "the rule that updates the parameters; lars: sgd with a rate for each layer, for large batches");
  const bool adamw = type == Type::kAdamW;
  if (adamw) {
    lr = 0.001;
    weight_decay = 0.01;
  }
  keys.optional("lr", lr, above_zero(), "base learning rate, shaped by [schedule] (adamw: 0.001)");
  const bool lars = type == Type::kLars;
  const std::string why = adamw ? "type = adamw" : lars ? "type = lars" : "type = sgd";
  if (adamw) keys.idle({"momentum"}, why);
  if (adamw || lars) keys.idle({"nesterov"}, why);
  if (!adamw) keys.idle({"betas", "eps"}, why);
  if (!lars) keys.idle({"trust"}, why);
  if (!adamw || keys.documenting()) {
    keys.optional("momentum", momentum, between(0.0, 1.0), "momentum of sgd and lars");
    if (!lars) keys.optional("nesterov", nesterov, "Nesterov's momentum for sgd");
    if (momentum >= 1) keys.error("momentum", concat("expected a number below 1, got ", momentum));
    if (nesterov && momentum == 0) keys.error("nesterov", "needs momentum above 0");
  }
  if (adamw || keys.documenting()) {
    keys.optional("betas", betas, between(0.0, 1.0), "decay of adamw's two running averages");
    if (betas.size() != 2 || betas[0] >= 1 || betas[1] >= 1) {
      keys.error("betas", "expected two numbers from 0 to below 1, such as 0.9, 0.999");
      betas = {0.9, 0.999};
    }
    keys.optional("eps", eps, above_zero(), "added to the denominator of adamw");
  }
  if (lars || keys.documenting()) {
    keys.optional("trust", trust, above_zero(),
                  "lars: a layer's rate is lr times this, times the norm of its weights over that of their gradient");
  }
  keys.optional("weight_decay", weight_decay, at_least(0.0), "weight decay (adamw: 0.01, apart from the gradient)");
  keys.optional("no_decay", no_decay,
                "parameter groups without weight decay, such as bias, norm; lars takes the plain lr for them");
  keys.optional("clip_norm", clip_norm, at_least(0.0), "largest norm of the whole gradient; 0: no clipping");
  keys.optional("clip_value", clip_value, at_least(0.0), "largest magnitude of one gradient element; 0: no clipping");
  if (clip_norm > 0 && clip_value > 0)
    keys.error("clip_value", "cannot be combined with clip_norm; set one of them to 0");
  if (clip_value > 0 && lars)
    keys.error("clip_value", "cannot be combined with type = lars, which scales by norms; use clip_norm");
}

OptimizerOptions OptimizerOptions::read(Config& config) {
  OptimizerOptions options = config.read<OptimizerOptions>("optimizer");
  std::vector<std::string> sections;
  for (const Section& section : config.sections())
    if (section.name().rfind(kGroupPrefix, 0) == 0) sections.push_back(section.name());
  for (const std::string& section : sections) {
    const std::string name = section.substr(sizeof kGroupPrefix - 1);
    GroupOptions group = options.group(name);
    Keys keys(config.section(section), config.diagnostics());
    group.describe(keys);
    options.groups[name] = group;
  }
  return options;
}

GroupOptions OptimizerOptions::group(const std::string& name) const {
  const auto found = groups.find(name);
  if (found != groups.end()) return found->second;
  const bool plain = std::find(no_decay.begin(), no_decay.end(), name) != no_decay.end();
  return {1.0, plain ? 0.0 : weight_decay};
}

void OptimizerOptions::check_groups(const std::vector<ParameterRange>& ranges, Config& config) const {
  std::set<std::string> known;
  for (const ParameterRange& range : ranges) known.insert(range.group);
  for (const std::string& name : no_decay) {
    if (known.count(name) == 0)
      config.section("optimizer").report(config.diagnostics(), "no_decay", unknown_group(name, known));
  }
  for (const auto& item : groups) {
    if (known.count(item.first) == 0)
      config.section(kGroupPrefix + item.first).report(config.diagnostics(), "", unknown_group(item.first, known));
  }
}

}  // namespace sluice
