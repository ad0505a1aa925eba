// Parses the command line of every program with Boost.Program_options, overrides apart.
#include "core/config/command_line.hpp"

#include <algorithm>
#include <boost/program_options.hpp>
#include <filesystem>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "core/config/edits.hpp"
#include "core/config/lookalike.hpp"
#include "core/config/path.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

namespace po = boost::program_options;

[[noreturn]] void refuse(const std::string& text) {
  throw Error(ExitCode::kUsage, concat("command line: ", text));
}

/// "train.batch" of "train.batch=128" and of "train.batch"; "" where that is no name with a dot.
std::string dotted_name(const std::string& text) {
  const std::string name = text.substr(0, text.find('='));
  return is_section_name(name) && name.find('.') != std::string::npos ? name : "";
}

/// `argument` is a flag without '=', whose value follows as the next argument.
bool wants_value(const std::string& argument, const std::vector<Flag>& flags) {
  return std::any_of(flags.begin(), flags.end(), [&argument](const Flag& flag) {
    const bool named = argument == "--" + flag.name || (flag.letter != '\0' && argument == concat("-", flag.letter));
    return named && !flag.value_name.empty();
  });
}

/// Moves the overrides out of the arguments.
std::vector<std::string> take_overrides(std::vector<std::string>& arguments) {
  std::vector<std::string> overrides, rest;
  const auto end_of_flags = std::find(arguments.begin(), arguments.end(), "--");
  for (auto at = arguments.begin(); at != arguments.end(); ++at) {
    const std::string name = at < end_of_flags && starts_with(*at, "--") ? dotted_name(at->substr(2)) : "";
    if (name.empty()) {
      rest.push_back(*at);
    } else if (at->find('=') == std::string::npos) {
      const bool value_follows = at + 1 != arguments.end() && !starts_with(*(at + 1), "-");
      refuse(concat("the value of an override stands after '=': --", name, "=", value_follows ? *(at + 1) : "VALUE"));
    } else {
      overrides.push_back(*at);
    }
  }
  arguments = rest;
  return overrides;
}

/// Overrides whose dashes were forgotten, or are not those of a keyboard, look like files or short flags.
void reject_forgotten_dashes(const std::string& argument) {
  const bool dash = starts_with(argument, "\xE2\x80") || starts_with(argument, "\xE2\x88\x92");
  if (dash && !lookalike_in(argument).empty() && !std::filesystem::exists(argument))
    refuse(concat(quoted(argument), " has ", lookalike_in(argument, "character")));
  const std::string text = argument.substr(starts_with(argument, "-") ? 1 : 0);
  if (text.find('=') == std::string::npos || dotted_name(text).empty() || std::filesystem::exists(argument)) return;
  refuse(concat("an override starts with two dashes: --", text, ", got ", quoted(argument)));
}

po::options_description describe(const std::vector<Flag>& flags) {
  po::options_description description;
  for (const Flag& flag : flags) {
    const std::string name = flag.letter == '\0' ? flag.name : concat(flag.name, ",", flag.letter);
    if (flag.value_name.empty()) {
      description.add_options()(name.c_str(), "");
    } else {
      description.add_options()(name.c_str(), po::value<std::string>(), "");
    }
  }
  return description;
}

std::vector<std::string> long_names(const std::vector<Flag>& flags) {
  std::vector<std::string> names;
  for (const Flag& flag : flags) names.push_back("--" + flag.name);
  return names;
}

[[noreturn]] void refuse_without_value(const Flag& flag) {
  refuse(concat("'--", flag.name, "' needs a value: --", flag.name, "=", flag.value_name));
}

[[noreturn]] void refuse_syntax(const po::invalid_command_line_syntax& error, const std::vector<Flag>& flags) {
  const std::string name = error.get_option_name();
  using Syntax = po::invalid_command_line_syntax;
  if (error.kind() == Syntax::extra_parameter) refuse(concat(quoted(name), " takes no value"));
  for (const Flag& flag : flags) {
    if (name == "--" + flag.name || name == concat("-", flag.letter)) refuse_without_value(flag);
  }
  refuse(concat(quoted(name), " needs a value"));
}

/// What other programs call our keys.
std::string our_word(std::string word) {
  static const std::pair<const char*, const char*> kOthers[] = {
      {"batch_size", "batch"},    {"bs", "batch"},          {"learning_rate", "lr"}, {"wd", "weight_decay"},
      {"num_workers", "workers"}, {"num_epochs", "epochs"}, {"data_dir", "dir"},     {"output_dir", "dir"},
      {"num_threads", "threads"}};
  std::replace(word.begin(), word.end(), '-', '_');
  for (const auto& [other, ours] : kOthers) {
    if (word == other) return ours;
  }
  return word;
}

/// "; did you mean --train.epochs=5?" where `name`, "--epochs", is the last part of keys; "" elsewhere.
std::string meant_keys(const std::string& name, const std::string& value, const std::vector<std::string>& keys) {
  const std::string word = our_word(name.substr(std::min<std::size_t>(2, name.size())));
  std::vector<std::string> meant;
  for (const std::string& key : keys) {
    if (key.substr(key.rfind('.') + 1) == word) meant.push_back(concat("--", key, "=", value));
  }
  return meant.empty() ? "" : concat("; did you mean ", join(meant, " or "), "?");
}

/// The value that was meant for an unknown option: behind its '=', or the next argument.
std::string value_of(const std::string& option, const std::vector<std::string>& arguments) {
  const std::size_t equals = option.find('=');
  if (equals != std::string::npos) return option.substr(equals + 1);
  const auto found = std::find(arguments.begin(), arguments.end(), option);
  const bool follows = found != arguments.end() && found + 1 != arguments.end() && !starts_with(*(found + 1), "--");
  return follows ? *(found + 1) : "VALUE";
}

[[noreturn]] void refuse_unknown(const std::string& given, const std::vector<std::string>& arguments,
                                 const std::vector<Flag>& flags, const std::vector<std::string>& keys) {
  const std::string name = given.substr(0, given.find('='));
  const std::string lookalike = lookalike_in(name, "character");
  if (!lookalike.empty()) refuse(concat("unknown option ", quoted(name), " has ", lookalike));
  // Boost names an option without what stands behind its '='.
  const auto whole = std::find_if(arguments.begin(), arguments.end(), [&name](const std::string& argument) {
    return argument == name || starts_with(argument, name + "=");
  });
  const std::string meant = meant_keys(name, value_of(whole == arguments.end() ? given : *whole, arguments), keys);
  if (!meant.empty()) refuse(concat("unknown option ", quoted(name), meant));
  const std::string nearest = nearest_match(name, long_names(flags));
  if (!nearest.empty()) refuse(concat("unknown option ", quoted(name), "; did you mean '", nearest, "'?"));
  refuse(concat("unknown option ", quoted(name), "; known options: ", join(long_names(flags)),
                keys.empty() ? "" : "; keys are set by --section.key=value"));
}

std::vector<po::option> parse(const std::vector<std::string>& arguments, const std::vector<Flag>& flags,
                              const std::function<std::vector<std::string>()>& keys) {
  using namespace po::command_line_style;
  const int style = allow_long | long_allow_adjacent | long_allow_next | allow_short | allow_dash_for_short |
                    short_allow_adjacent | short_allow_next;
  const po::options_description description = describe(flags);
  try {
    return po::command_line_parser(arguments).options(description).style(style).run().options;
  } catch (const po::unknown_option& error) {
    refuse_unknown(error.get_option_name(), arguments, flags, keys ? keys() : std::vector<std::string>());
  } catch (const po::invalid_command_line_syntax& error) {
    refuse_syntax(error, flags);
  } catch (const po::error& error) {
    refuse(error.what());
  }
}

/// What Boost lets pass: a repeated flag, and a flag as the value of another.
void check_use(const Flag& flag, const po::option& option, bool seen) {
  if (seen && !flag.repeatable) refuse(concat("'--", flag.name, "' is given twice"));
  const std::vector<std::string>& tokens = option.original_tokens;
  if (tokens.size() > 1 && starts_with(tokens.back(), "--")) refuse_without_value(flag);
}

}  // namespace

std::optional<std::string> CommandLine::value(const std::string& flag) const {
  const auto found = flags_.find(flag);
  if (found == flags_.end() || found->second.empty()) return std::nullopt;
  return found->second.back();
}

std::vector<std::string> CommandLine::values(const std::string& flag) const {
  const auto found = flags_.find(flag);
  return found == flags_.end() ? std::vector<std::string>{} : found->second;
}

std::optional<std::string> CommandLine::path(const std::string& flag) const {
  const std::optional<std::string> written = value(flag);
  if (!written) return std::nullopt;
  try {
    return expand_path(*written);
  } catch (const Error& error) {
    refuse(concat("--", flag, ": ", error.what()));
  }
}

CommandLine parse_command_line(int argc, const char* const* argv, const std::vector<Flag>& flags,
                               const std::function<std::vector<std::string>()>& keys) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  CommandLine line;
  line.overrides_ = take_overrides(arguments);
  for (std::size_t i = 0; i < arguments.size() && arguments[i] != "--"; ++i) {
    if (i == 0 || !wants_value(arguments[i - 1], flags)) reject_forgotten_dashes(arguments[i]);
  }
  for (const po::option& option : parse(arguments, flags, keys)) {
    if (option.string_key.empty()) {
      line.positional_.insert(line.positional_.end(), option.value.begin(), option.value.end());
      continue;
    }
    const auto flag = std::find_if(flags.begin(), flags.end(),
                                   [&](const Flag& candidate) { return candidate.name == option.string_key; });
    check_use(*flag, option, line.has(flag->name));
    std::vector<std::string>& values = line.flags_[option.string_key];
    values.insert(values.end(), option.value.begin(), option.value.end());
  }
  return line;
}

void print_flags(std::ostream& out, const std::vector<Flag>& flags) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Flag& flag : flags) {
    std::string name = flag.letter == '\0' ? "" : concat("-", flag.letter, ", ");
    name += "--" + flag.name;
    if (!flag.value_name.empty()) name += "=" + flag.value_name;
    rows.emplace_back(name, flag.doc);
  }
  print_columns(out, rows);
}

}  // namespace sluice
