#include "apps/formats.hpp"

#include <unistd.h>

#include <ostream>

#include "core/base/error.hpp"
#include "core/base/terminal.hpp"

namespace sluice {

std::vector<Flag> table_flags() {
  return {{"csv", "", "Print the table as CSV, with all columns and all digits."},
          {"markdown", "", "Print the table as Markdown."}};
}

RecordFormat format_of(const CommandLine& line) {
  RecordFormat format = RecordFormat::kTable;
  std::string given;
  for (const auto& [flag, meaning] : {std::pair<const char*, RecordFormat>{"csv", RecordFormat::kCsv},
                                      {"json", RecordFormat::kJson},
                                      {"markdown", RecordFormat::kMarkdown}}) {
    if (!line.has(flag)) continue;
    if (!given.empty())
      throw Error(ExitCode::kUsage, concat("command line: --", given, " and --", flag, " exclude each other"));
    given = flag;
    format = meaning;
  }
  return format;
}

void print_records(std::ostream& out, const Records& records, RecordFormat format) {
  records.print(out, format, terminal_width(STDOUT_FILENO));
}

}  // namespace sluice
