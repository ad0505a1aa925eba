#include "apps/help.hpp"

#include <unistd.h>

#include <algorithm>
#include <ostream>
#include <sstream>

#include "core/base/error.hpp"
#include "core/base/terminal.hpp"
#include "core/base/wrap.hpp"
#include "core/config/paragraph.hpp"
#include "core/config/text.hpp"

namespace sluice {
namespace {

/// A heading of the configuration's documentation with its keys.
struct Chapter {
  std::string section;  ///< "data", "layer.NAME"; "metrics"; empty: a heading of all
  std::string type;     ///< of "[layer.NAME] type = conv: ..."
  std::string text;

  /// What people ask for.
  std::string topic() const { return !type.empty() ? type : section.substr(0, section.find('.')); }
};

Chapter chapter_of(const std::string& heading) {
  constexpr char kType[] = "] type = ";
  Chapter chapter{starts_with(heading, "Metrics") ? "metrics" : "", "", ""};
  if (heading[0] != '[') return chapter;
  chapter.section = heading.substr(1, heading.find(']') - 1);
  const std::size_t type = heading.find(kType);
  if (type == std::string::npos) return chapter;
  const std::size_t begin = type + sizeof kType - 1;
  chapter.type = heading.substr(begin, heading.find(':', begin) - begin);
  return chapter;
}

/// Those of the program: a line without indent begins one.
std::vector<Chapter> chapters_of(const Program& program) {
  std::vector<Chapter> chapters;
  if (!program.configuration) return chapters;
  const std::string text = program.configuration();
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    const std::string line = text.substr(begin, end - begin);
    begin = end;
    if (line[0] != ' ' && line[0] != '\n') chapters.push_back(chapter_of(line));
    if (!chapters.empty()) chapters.back().text += line;
  }
  chapters.erase(std::remove_if(chapters.begin(), chapters.end(),
                                [&](const Chapter& chapter) { return contains(program.foreign, chapter.section); }),
                 chapters.end());
  return chapters;
}

std::vector<std::string> topics_of(const std::vector<Chapter>& chapters, bool types) {
  std::vector<std::string> topics;
  for (const Chapter& chapter : chapters) {
    const std::string topic = chapter.topic();
    if (chapter.type.empty() != types && !topic.empty() && !contains(topics, topic)) topics.push_back(topic);
  }
  return topics;
}

/// What a chapter says of a key, which stands behind two spaces; what goes on stands further in.
std::string doc_of(const Chapter& chapter, const std::string& key) {
  std::istringstream lines(chapter.text);
  std::string doc, line;
  bool inside = false;
  while (std::getline(lines, line)) {
    if (line.compare(0, 3, "   ") != 0) inside = starts_with(line, concat("  ", key, " "));
    std::istringstream words(inside && doc.empty() ? line.substr(2 + key.size()) : line);
    for (std::string word; inside && words >> word;) doc += (doc.empty() ? "" : " ") + word;
  }
  return doc;
}

/// The usual keys, as flags are shown.
std::vector<Flag> usual_keys(const Program& program, const std::vector<Chapter>& chapters) {
  std::vector<Flag> keys;
  for (const std::string& name : program.usual) {
    const std::size_t dot = name.find('.');
    for (const Chapter& chapter : chapters) {
      if (chapter.section == name.substr(0, dot)) keys.push_back({name, "", doc_of(chapter, name.substr(dot + 1))});
    }
  }
  return keys;
}

/// A line for each form of a call; what goes on stands further in.
void print_usage(std::ostream& out, const char* name, const std::string& usage) {
  constexpr int kMostColumns = 100, kHang = 9;
  const int columns = std::min(terminal_width(STDOUT_FILENO).value_or(kMostColumns), kMostColumns);
  out << wrapped(concat("Usage: ", name, " ", usage), static_cast<std::size_t>(columns), kHang) << "\n";
}

}  // namespace

void print_help(std::ostream& out, const char* name, const Program& program, const std::vector<Flag>& flags) {
  print_usage(out, name, program.usage);
  print_paragraph(out, program.summary);
  out << "\nOptions:\n";
  print_flags(out, flags);
  for (const std::string& note : program.notes) {
    out << "\n";
    print_paragraph(out, note);
  }
  const std::vector<Chapter> chapters = chapters_of(program);
  if (chapters.empty()) return;
  if (!program.usual.empty()) {
    out << "\nKeys that most runs set:\n";
    print_flags(out, usual_keys(program, chapters));
  }
  out << "\n";
  print_paragraph(out, concat("Configuration keys are set by --section.key=value. --help SECTION tells those of one: ",
                              join(topics_of(chapters, false)),
                              ". --help layer lists the types of layers, --help TYPE tells the keys of one; --help all "
                              "tells everything."));
}

bool print_help_on(std::ostream& out, const std::string& topic, const Program& program) {
  const std::vector<Chapter> chapters = chapters_of(program);
  bool found = false;
  for (const Chapter& chapter : chapters) {
    const bool asked = topic == "all" || topic == chapter.topic() || topic == chapter.section;
    if (!asked) continue;
    if (found && topic != "all") out << "\n";
    out << chapter.text;
    found = true;
  }
  if (topic == "layer") {
    out << "\n";
    print_paragraph(out, concat("Types: ", join(topics_of(chapters, true)), ". --help TYPE tells the keys of one."));
  }
  if (found || topic.find_first_of("./") != std::string::npos) return found;
  std::vector<std::string> topics = topics_of(chapters, false);
  for (const std::string& type : topics_of(chapters, true)) topics.push_back(type);
  topics.emplace_back("all");
  throw Error(ExitCode::kUsage, concat("command line: --help: no section or layer type ", quoted(topic),
                                       suggestion(topic, topics, "there are")));
}

}  // namespace sluice
