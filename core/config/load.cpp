// Loads a configuration: files with their includes, overrides, and the definitions in their values.
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <system_error>

#include "core/base/error.hpp"
#include "core/base/system_error.hpp"
#include "core/config/blocks.hpp"
#include "core/config/config.hpp"
#include "core/config/edits.hpp"
#include "core/config/ini.hpp"
#include "core/config/substitute.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

/// ", such as RUN/config.ini" where a folder is that of a run.
std::string such_as_in(const fs::path& folder) {
  const fs::path of_run = folder / "config.ini";
  std::error_code problem;
  return fs::is_regular_file(of_run, problem) ? concat(", such as ", of_run.string()) : "";
}

/// The same of a checkpoint of a run: its weights, or one in its folder of checkpoints.
std::string such_as_beside(const fs::path& checkpoint) {
  const fs::path folder = checkpoint.parent_path();
  const std::string beside = such_as_in(folder);
  return beside.empty() && folder.filename() == "checkpoints" ? such_as_in(folder.parent_path()) : beside;
}

/// Reads a text file; throws Error(kUsage) with the reason alone.
std::string read_text(const std::string& path) {
  constexpr std::size_t kLargest = 16 << 20;
  const auto refuse = [](const std::string& why) { throw Error(ExitCode::kUsage, why); };
  std::error_code problem;
  if (fs::is_directory(path, problem)) refuse("is a directory; a configuration file was expected" + such_as_in(path));
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) refuse(concat("cannot be read: ", system_reason(errno, Access::kRead)));
  std::string text;
  std::vector<char> chunk(64 << 10);
  while (text.size() <= kLargest && stream) {
    stream.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    text.append(chunk.data(), static_cast<std::size_t>(stream.gcount()));
  }
  if (stream.bad()) refuse(concat("cannot be read: ", system_reason(errno, Access::kRead)));
  if (starts_with(text, "\x89HDF")) refuse("is an HDF5 file; a configuration file was expected" + such_as_beside(path));
  if (starts_with(text, "\xFF\xFE") || starts_with(text, "\xFE\xFF")) refuse("is UTF-16 text; save it as UTF-8");
  if (text.size() > kLargest) refuse("is larger than 16 MiB; a configuration file was expected");
  return text;
}

/// The same for two names of one file.
std::string identity(const std::string& path) {
  std::error_code problem;
  const fs::path canonical = fs::weakly_canonical(path, problem);
  return problem ? path : canonical.string();
}

constexpr std::size_t kDeepestInclude = 32, kMostIncludes = 1000, kMostText = 64 << 20;

[[noreturn]] void refuse_stored(const std::string& where, const std::string& what) {
  throw Error(ExitCode::kCheckpoint,
              concat(where, ": the configuration in a checkpoint stands for itself and may not use ", what,
                     "; Sluice did not write it like that"));
}

/// Reads files and their includes into sections; `stored`: text of a checkpoint.
class FileLoader {
 public:
  explicit FileLoader(Config& config, bool stored = false)
      : config_(config), diagnostics_(config.diagnostics()), stored_(stored) {}

  /// `path` was given by the user.
  void load(const std::string& path) {
    diagnostics_.note_file(path);
    load_file(path, {path, 0}, "");
  }

  void load_text(const std::string& text, const std::string& name, const std::string& directory) {
    if (text.find('\0') != std::string::npos)
      throw Error(stored_ ? ExitCode::kCheckpoint : ExitCode::kUsage,
                  concat(stored_ ? name + ": the configuration " : "", "is not text (it holds a zero byte)"));
    const IniFile file = read_ini(text, has_lines(name) ? name : name + ": its configuration", diagnostics_);
    if (stored_ && !file.includes.empty())
      refuse_stored(to_string(place(name, file.includes.front().line)) + ": include", "other files");
    for (const IniEntry& include : file.includes) load_include(include, name, directory);
    for (const IniSection& section : file.sections) merge(section, name);
    keep_own_definitions(file, name);
  }

  /// Some file could not be read: what follows would be full of consequences.
  bool failed() const { return failed_; }

 private:
  /// Of a run's stored configuration; those of a checkpoint's are nowhere to be looked up.
  bool has_lines(const std::string& name) const { return !stored_ || fs::path(name).extension() == ".ini"; }

  Source place(const std::string& name, int line) const { return {name, has_lines(name) ? line : 0}; }

  void load_file(const std::string& path, const Source& from, const std::string& key) {
    const std::string id = identity(path);
    for (const auto& [open_id, open_path] : stack_) {
      if (open_id == id) return report_cycle(path, from, key, id);
    }
    try {
      const std::string text = read_text(path);
      total_ += text.size();
      if (total_ > kMostText) throw Error(ExitCode::kUsage, "is too much: all files together have more than 64 MiB");
      if (stack_.size() == kDeepestInclude)
        throw Error(ExitCode::kUsage, concat("is included more than ", kDeepestInclude, " deep"));
      seen_.insert(id);
      stack_.emplace_back(id, path);
      load_text(text, path, fs::path(path).parent_path().string());
      stack_.pop_back();
    } catch (const Error& error) {
      failed_ = true;
      diagnostics_.error(from, "", key, key.empty() ? error.what() : concat(path, " ", error.what()));
    }
  }

  void load_include(const IniEntry& include, const std::string& name, const std::string& directory) {
    const Source source{name, include.line};
    if (++includes_ > kMostIncludes) {
      if (!failed_) diagnostics_.error(source, "", "include", concat("more than ", kMostIncludes, " includes"));
      failed_ = true;
      return;
    }
    const std::optional<std::string> file = include_name(include.value, source);
    if (!file) {
      failed_ = true;
      return;
    }
    const std::string path = (fs::path(directory) / *file).lexically_normal().string();
    diagnostics_.note_file(path);
    const std::string id = identity(path);
    const bool open =
        std::any_of(stack_.begin(), stack_.end(), [&](const auto& reading) { return reading.first == id; });
    if (open || seen_.count(id) == 0) load_file(path, source, "include");
  }

  /// Definitions are not known yet: an include can use the environment only.
  std::optional<std::string> include_name(const std::string& value, const Source& source) {
    const std::function<std::string(const std::string&)> replace = [&](const std::string& inner) -> std::string {
      if (starts_with(inner, "env:")) return environment_value(inner.substr(4), replace);
      throw Error(ExitCode::kUsage, concat("unknown name ${", inner, "}; an include can use ${env:NAME} only"));
    };
    try {
      return substitute(value, replace);
    } catch (const Error& error) {
      diagnostics_.error(source, "", "include", error.what());
      return std::nullopt;
    }
  }

  void report_cycle(const std::string& path, const Source& from, const std::string& key, const std::string& id) {
    failed_ = true;
    std::vector<std::string> chain;
    for (const auto& [open_id, open_path] : stack_) {
      if (open_id == id || !chain.empty()) chain.push_back(open_path);
    }
    chain.push_back(path);
    diagnostics_.error(from, "", key, concat("the file includes itself: ", join(chain, " -> ")));
  }

  void merge(const IniSection& section, const std::string& name) {
    Section*& target = by_name_[section.name];
    if (target == nullptr) {
      config_.sections().emplace_back(section.name, place(name, section.line));
      target = &config_.sections().back();
    }
    std::vector<Entry> entries;
    for (const IniEntry& line : section.entries) {
      Entry entry;
      entry.key = line.key;
      entry.value = line.value;
      entry.form = line.form;
      entry.source = place(name, line.line);
      if (stored_) keep_stored(section.name, entry);
      entries.push_back(std::move(entry));
    }
    set_entries(*target, std::move(entries), diagnostics_);
  }

  /// A file may define what it uses itself, also where a later value replaces the one that used it.
  void keep_own_definitions(const IniFile& file, const std::string& name) {
    const auto define = by_name_.find("define");
    if (define == by_name_.end()) return;
    for (const IniSection& section : file.sections) {
      for (const IniEntry& line : section.entries) {
        for (const std::string& word : words_in_braces(line.value)) {
          Entry* const definition = define->second->find(word);
          if (definition != nullptr && definition->source.file == name) definition->used = true;
        }
      }
    }
  }

  static void keep_stored(const std::string& section, Entry& entry) {
    entry.stored = true;
    entry.value = substitute(entry.value, [&](const std::string& inner) -> std::string {
      refuse_stored(concat(to_string(entry.source), ": [", section, "] ", entry.key), quoted("${" + inner + "}"));
    });
  }

  Config& config_;
  Diagnostics& diagnostics_;
  const bool stored_;
  std::size_t includes_ = 0, total_ = 0;
  std::map<std::string, Section*> by_name_;  ///< of config_
  std::set<std::string> seen_;
  std::vector<std::pair<std::string, std::string>> stack_;  ///< identity and path of the files being read
  bool failed_ = false;
};

/// The block a section belongs to: "basic" for "block.basic" and "block.basic.conv1".
std::string block_of(const std::string& section) {
  if (!starts_with(section, "block.")) return "";
  return section.substr(6, section.find('.', 6) - 6);
}

}  // namespace

Config Config::load(const std::vector<std::string>& files, const std::vector<std::string>& overrides) {
  Config config;
  if (!files.empty()) config.main_file_ = files.front();
  FileLoader loader(config);
  for (const std::string& file : files) loader.load(file);
  if (loader.failed()) config.diagnostics_.throw_if_errors();
  config.read_overrides(overrides);
  config.put_in_definitions();
  return config;
}

Config Config::parse(const std::string& text, const std::string& name, const std::vector<std::string>& overrides) {
  Config config;
  config.main_file_ = name;
  config.diagnostics_.note_file(name);
  FileLoader loader(config);
  loader.load_text(text, name, "");
  if (loader.failed()) config.diagnostics_.throw_if_errors();
  config.read_overrides(overrides);
  config.put_in_definitions();
  return config;
}

Config Config::stored(const std::string& text, const std::string& name, const std::vector<std::string>& overrides) {
  Config config;
  config.main_file_ = name;
  config.diagnostics_.note_file(name);
  FileLoader(config, true).load_text(text, name, "");
  config.read_overrides(overrides);
  config.put_in_definitions();
  return config;
}

void Config::read_overrides(const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides) {
    const std::size_t begin = starts_with(text, "--") ? 2 : 0;
    const std::size_t equals = std::min(text.find('='), text.size());
    const std::string name = text.substr(begin, equals - begin);
    const std::size_t dot = name.rfind('.');
    if (equals == text.size() || dot == std::string::npos || !is_section_name(name)) {
      diagnostics_.error({}, "", "", concat("expected --section.key=value, got ", quoted(text)));
      continue;
    }
    Entry entry;
    entry.key = name.substr(dot + 1);
    entry.value = text.substr(equals + 1);
    entry.origin = Entry::Origin::kCommandLine;
    const std::string section = name.substr(0, dot);
    if (find(section) == nullptr) sections_.emplace_back(section, Source{});
    set_entries(*find(section), {entry}, diagnostics_);
  }
}

void Config::put_in_definitions() {
  const Section* const defined = find("define");
  const bool knows_repetition = defined == nullptr || defined->find(kRepetition) == nullptr;
  Definitions definitions(defined, diagnostics_);
  std::map<std::string, std::vector<std::string>> parameters;
  for (Section& section : sections_) {
    const std::string block = block_of(section.name());
    Entry* list = section.find("parameters");
    if (block.empty() || list == nullptr || section.name() != "block." + block) continue;
    definitions.apply_in_parameter_list(section, *list);
    for (const BlockParameter& parameter : parse_parameters(list->items())) parameters[block].push_back(parameter.name);
  }
  for (Section& section : sections_) {
    if (section.name() == "define") continue;
    const std::string block = block_of(section.name());
    std::vector<std::string>& names = parameters[block];
    if (knows_repetition && !contains(names, kRepetition)) names.emplace_back(kRepetition);
    for (const Entry& entry : section.entries()) {
      if (entry.stored) continue;
      Entry* writable = section.find(entry.key);
      if (block.empty()) {
        definitions.apply(section, *writable);
      } else {
        definitions.apply_in_block(section, *writable, names);
      }
    }
  }
  definitions.reject_unused();
  sections_.erase(std::remove_if(sections_.begin(), sections_.end(),
                                 [](const Section& section) { return section.name() == "define"; }),
                  sections_.end());
}

}  // namespace sluice
