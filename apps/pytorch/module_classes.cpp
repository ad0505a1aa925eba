#include "apps/pytorch/module_classes.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "apps/pytorch/forward_text.hpp"
#include "core/base/error.hpp"

namespace sluice {
namespace {

/// Breaks a line behind commas.
std::string broken(std::string line) {
  std::string text;
  const std::size_t indent = line.find_first_not_of(' ') + 4;
  while (line.size() > kTorchColumns) {
    const std::size_t comma = line.rfind(", ", kTorchColumns - 1);
    if (comma == std::string::npos || comma <= indent) break;
    text += line.substr(0, comma + 1) + "\n";
    line = std::string(indent, ' ') + line.substr(comma + 2);
  }
  return text + line + "\n";
}

/// An argument as it stands in a class: a number, or a parameter of the class.
struct Argument {
  std::string text;
  bool is_parameter = false;
};

/// Those of a constructor, in order; takes as many as it has.
class ArgumentReader {
 public:
  explicit ArgumentReader(const std::vector<Argument>& arguments) : arguments_(arguments) {}

  std::string read(const TorchArguments& wanted) {
    std::string text;
    for (const TorchArgument& argument : wanted) {
      const Argument& own = arguments_.at(next_++);
      if (!own.is_parameter && own.text == argument.usual) continue;
      text += (text.empty() ? "" : ", ") + (argument.usual.empty() ? "" : argument.name + "=") + own.text;
    }
    return text;
  }

 private:
  const std::vector<Argument>& arguments_;
  std::size_t next_ = 0;
};

/// Parts that are made by one class.
struct Class {
  std::string name;
  std::vector<const TorchPart*> parts;
  TorchArguments parameters;         ///< without values
  std::vector<std::size_t> columns;  ///< by parameter: which of its parts' arguments it is
};

int height(const TorchPart& part) {
  if (part.is_layer()) return 0;
  int most = 0;
  for (const TorchPart& inner : part.parts) most = std::max(most, height(inner));
  return part.is_chain ? most : most + 1;
}

void list_classes(const TorchPart& part, std::vector<const TorchPart*>& all) {
  for (const TorchPart& inner : part.parts) list_classes(inner, all);
  if (!part.is_layer() && !part.is_chain) all.push_back(&part);
}

class Writer {
 public:
  std::string write(const TorchParts& parts) {
    std::vector<const TorchPart*> all;
    list_classes(parts.network, all);
    std::stable_sort(all.begin(), all.end(),
                     [](const TorchPart* a, const TorchPart* b) { return height(*a) < height(*b); });
    define_needs(parts.network);
    definitions_ = text_;
    for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end) {
      while (end < all.size() && height(*all[end]) == height(*all[begin])) ++end;
      define({all.begin() + static_cast<std::ptrdiff_t>(begin), all.begin() + static_cast<std::ptrdiff_t>(end)}, parts);
    }
    return text_;
  }

 private:
  void define_needs(const TorchPart& part) {
    for (const TorchPart& inner : part.parts) define_needs(inner);
    for (const TorchDefinition* needed : part.layer.needs) define(*needed);
  }

  void define(const TorchDefinition& definition) {
    if (!defined_.insert(&definition).second) return;
    for (const TorchDefinition* needed : definition.needs) define(*needed);
    text_ += concat("\n", definition.text);
  }

  /// Parts that hold none but classes that are defined.
  void define(const std::vector<const TorchPart*>& parts, const TorchParts& all) {
    std::vector<std::string> signatures;
    const std::size_t first = classes_.size();
    for (const TorchPart* part : parts) {
      const std::string own = signature(*part);
      const auto same = std::find(signatures.begin(), signatures.end(), own);
      const std::size_t number = first + static_cast<std::size_t>(same - signatures.begin());
      if (same == signatures.end()) {
        signatures.push_back(own);
        classes_.emplace_back();
        classes_.back().name = part == &all.network ? "Network" : class_name(part->name);
      }
      classes_[number].parts.push_back(part);
      class_of_[part] = number;
    }
    for (std::size_t number = first; number < classes_.size(); ++number) {
      const std::vector<Argument> arguments = find_parameters(classes_[number]);
      write(classes_[number], arguments, all);
    }
  }

  std::string class_name(const std::string& part) {
    std::string name;
    bool begins = true;
    for (char c : part.substr(part.rfind('.') + 1)) {
      const bool fits = std::isalnum(static_cast<unsigned char>(c)) != 0;
      if (fits) name += begins ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
      begins = !fits;
    }
    if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) name = "Block";
    static const std::set<std::string> kTaken = {"F", "Network", "None", "True", "False"};
    const auto is_taken = [&](const std::string& own) {
      return kTaken.count(own) != 0 || definitions_.find("\nclass " + own + "(") != std::string::npos ||
             names_.count(own) != 0;
    };
    std::string own = name;
    for (int& last = last_number_.emplace(name, 1).first->second; is_taken(own);) own = concat(name, ++last);
    names_.insert(own);
    return own;
  }

  /// All that a part's class says but the arguments' values.
  std::string signature(const TorchPart& part) const {
    std::string text;
    for (const TorchPart& inner : part.parts) text += inner.path + ":" + kind(inner, false) + ";";
    for (const std::string& line : forward_text(part)) text += line + ";";
    return text;
  }

  std::string kind(const TorchPart& part, bool in_chain) const {
    if (!part.same_as.empty()) return "=" + part.same_as;
    if (const auto known = class_of_.find(&part); known != class_of_.end()) return classes_[known->second].name;
    std::string text = part.is_chain ? "[" : part.layer.type + "(";
    for (const TorchPart& inner : part.parts) text += inner.path + ":" + kind(inner, true) + ",";
    if (!in_chain && part.is_layer() && !part.is_module()) return "";
    for (const TorchArgument& argument : part.layer.arguments) text += argument.name + "=" + argument.usual + ",";
    return text;
  }

  /// What a part's constructor takes, with its values.
  TorchArguments arguments(const TorchPart& part, bool in_chain) const {
    if (!part.same_as.empty()) return {};
    TorchArguments all;
    const auto add = [&](const TorchPart& inner, bool chain) {
      const TorchArguments own = arguments(inner, chain);
      all.insert(all.end(), own.begin(), own.end());
    };
    if (part.is_layer()) {
      if (in_chain || part.is_module()) all = part.layer.arguments;
      return all;
    }
    for (const TorchPart& inner : part.parts) add(inner, part.is_chain);
    const auto known = class_of_.find(&part);
    if (known == class_of_.end()) return all;
    const Class& own = classes_[known->second];
    TorchArguments taken;
    for (std::size_t p = 0; p < own.parameters.size(); ++p) {
      taken.push_back(own.parameters[p]);
      taken.back().value = all[own.columns[p]].value;
    }
    return taken;
  }

  /// Those that a class makes its own modules with.
  TorchArguments inner_arguments(const TorchPart& part) const {
    TorchArguments all;
    for (const TorchPart& inner : part.parts) {
      const TorchArguments own = arguments(inner, part.is_chain);
      all.insert(all.end(), own.begin(), own.end());
    }
    return all;
  }

  /// Arguments that differ from part to part become parameters, those that are always equal to each other one. Returns
  /// what stands in the class for each argument.
  std::vector<Argument> find_parameters(Class& made) const {
    std::vector<TorchArguments> rows;
    for (const TorchPart* part : made.parts) rows.push_back(inner_arguments(*part));
    const std::size_t columns = rows[0].size();
    const auto equal = [&](std::size_t a, std::size_t b) {
      return std::all_of(rows.begin(), rows.end(),
                         [&](const TorchArguments& row) { return row[a].value == row[b].value; });
    };
    std::vector<std::vector<std::size_t>> groups;
    for (std::size_t c = 0; c < columns; ++c) {
      const bool varies = std::any_of(rows.begin(), rows.end(),
                                      [&](const TorchArguments& row) { return row[c].value != rows[0][c].value; });
      if (!varies) continue;
      const auto same = std::find_if(groups.begin(), groups.end(),
                                     [&](const std::vector<std::size_t>& group) { return equal(group[0], c); });
      if (same == groups.end())
        groups.push_back({c});
      else
        same->push_back(c);
    }
    const auto needed = [&](const std::vector<std::size_t>& group) {
      return std::any_of(group.begin(), group.end(), [&](std::size_t c) { return rows[0][c].usual.empty(); });
    };
    std::stable_partition(groups.begin(), groups.end(), needed);
    std::vector<Argument> result;
    for (const TorchArgument& argument : rows[0]) result.push_back({argument.value});
    for (const std::vector<std::size_t>& group : groups) {
      const std::string name = parameter_name(made, rows[0], group);
      made.parameters.push_back({name, "", needed(group) ? "" : rows[0][group[0]].usual});
      made.columns.push_back(group[0]);
      for (std::size_t c : group) result[c] = {name, true};
    }
    return result;
  }

  static std::string parameter_name(const Class& made, const TorchArguments& row,
                                    const std::vector<std::size_t>& group) {
    const auto has = [&](const std::string& name) {
      return std::any_of(group.begin(), group.end(), [&](std::size_t c) { return row[c].name == name; });
    };
    const std::string usual = has("in_channels") && has("out_channels") ? "channels" : row[group[0]].name;
    std::string name = usual;
    const auto is_taken = [&] {
      return std::any_of(made.parameters.begin(), made.parameters.end(),
                         [&](const TorchArgument& other) { return other.name == name; });
    };
    for (int i = 2; is_taken(); ++i) name = concat(usual, i);
    return name;
  }

  void write(const Class& made, const std::vector<Argument>& arguments, const TorchParts& all) {
    const TorchPart& part = *made.parts[0];
    text_ += "\n\nclass " + made.name + "(nn.Module):\n";
    std::string takes;
    for (const TorchArgument& parameter : made.parameters)
      takes += ", " + parameter.name + (parameter.usual.empty() ? "" : "=" + parameter.usual);
    text_ += broken("    def __init__(self" + takes + "):") + "        super().__init__()\n";
    ArgumentReader reader(arguments);
    std::set<std::string> made_groups;
    for (const TorchPart& inner : part.parts) {
      if (!inner.is_module()) continue;
      make_groups(inner.path, made_groups);
      add_statement(torch_attribute(inner.path) + " = ", inner, reader);
    }
    if (&part == &all.network) {
      for (const SharedParameter& shared : all.shared)
        text_ += broken("        " + torch_attribute(shared.layer) + "." + shared.name + " = " +
                        torch_attribute(shared.owner) + "." + shared.name);
    }
    text_ += "\n    def forward(self, x):\n";
    for (const std::string& line : forward_text(part)) text_ += broken("        " + line);
  }

  /// Modules that hold others, and are never called.
  void make_groups(const std::string& path, std::set<std::string>& made) {
    for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', dot + 1)) {
      const std::string group = path.substr(0, dot);
      if (made.insert(group).second) text_ += "        " + torch_attribute(group) + " = nn.Module()\n";
    }
  }

  void add_statement(const std::string& target, const TorchPart& part, ArgumentReader& reader) {
    if (!part.is_chain) {
      text_ += broken("        " + target + constructor(part, reader));
      return;
    }
    const std::vector<std::string> items = chain_items(part, reader);
    std::string line = "        " + target + "nn.Sequential(";
    for (const std::string& item : items) line += (line.back() == '(' ? "" : ", ") + item;
    if (line.size() < kTorchColumns) {
      text_ += line + ")\n";
      return;
    }
    text_ += "        " + target + "nn.Sequential(\n";
    for (const std::string& item : items) text_ += broken("            " + item + ",");
    text_ += "        )\n";
  }

  std::string constructor(const TorchPart& part, ArgumentReader& reader) const {
    if (!part.same_as.empty()) return torch_attribute(part.same_as);
    if (part.is_layer()) return part.layer.type + "(" + reader.read(part.layer.arguments) + ")";
    if (!part.is_chain) {
      const Class& own = classes_[class_of_.at(&part)];
      return own.name + "(" + reader.read(own.parameters) + ")";
    }
    std::string text;
    for (const std::string& item : chain_items(part, reader)) text += (text.empty() ? "" : ", ") + item;
    return "nn.Sequential(" + text + ")";
  }

  /// Equal ones in a row as one. Numbers that no layer has are modules that do nothing.
  std::vector<std::string> chain_items(const TorchPart& chain, ArgumentReader& reader) const {
    std::vector<std::string> all, items;
    for (const TorchPart& inner : chain.parts) {
      while (std::to_string(all.size()) != inner.path) all.emplace_back("nn.Identity()");
      all.push_back(constructor(inner, reader));
    }
    for (std::size_t i = 0, end = 0; i < all.size(); i = end) {
      while (end < all.size() && all[end] == all[i]) ++end;
      if (end - i > 2)
        items.push_back(concat("*(", all[i], " for _ in range(", end - i, "))"));
      else
        items.insert(items.end(), end - i, all[i]);
    }
    return items;
  }

  std::string text_, definitions_;
  std::set<const TorchDefinition*> defined_;
  std::vector<Class> classes_;
  std::map<const TorchPart*, std::size_t> class_of_;
  std::set<std::string> names_;             ///< of classes
  std::map<std::string, int> last_number_;  ///< behind a name that several want
};

}  // namespace

std::string torch_classes(const TorchParts& parts) {
  return Writer().write(parts);
}

}  // namespace sluice
