// What an import found, as text and as JSON.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/printable.hpp"
#include "core/base/table.hpp"
#include "core/train/import.hpp"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

std::string shapes_differ(const ImportReport::Match& match) {
  return concat(match.name, ": the file has ", to_string(match.file_shape), ", the network ", to_string(match.shape));
}

std::string absent(const ImportReport::Missing& missing) {
  return concat(missing.name, " (", to_string(missing.shape), ")",
                missing.hint.empty() ? "" : concat("; ", missing.hint));
}

std::string counted(std::size_t count, const char* one, const char* many) {
  return concat(count, " ", count == 1 ? one : many);
}

void print_matches(std::ostream& out, const std::vector<ImportReport::Match>& matches, std::optional<int> width) {
  const auto left = Table::Align::kLeft;
  Table table({{"in the file", left, Table::kAlways, Table::Narrow::kCuts},
               {"shape", left, 45},
               {"type", left, 30},
               {"tensor", left, 80, Table::Narrow::kCuts}});
  for (const ImportReport::Match& match : matches) {
    const std::string shape = match.file_shape != match.shape ? concat(" (", to_string(match.shape), ")") : "";
    table.add({match.name, to_string(match.file_shape), match.type, match.tensor + shape});
  }
  if (!matches.empty()) table.print(out, width, "  ");
}

void print_list(std::ostream& out, const std::string& title, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  out << title << "\n";
  for (const std::string& line : lines) out << "  " << one_line(line) << "\n";
}

Json shape_json(const Shape& shape) {
  return shape.dims();
}

Json match_json(const ImportReport::Match& match) {
  return {{"name", match.name},
          {"tensor", match.tensor},
          {"file_shape", shape_json(match.file_shape)},
          {"shape", shape_json(match.shape)},
          {"type", match.type}};
}

}  // namespace

std::string import_failure(const ImportOptions& options, const ImportReport& report) {
  std::vector<std::string> what;
  if (!report.missing.empty()) what.push_back(counted(report.missing.size(), "is missing", "are missing"));
  if (!report.misshapen.empty())
    what.push_back(counted(report.misshapen.size(), "has another shape", "have another shape"));
  if (!report.unusable.empty()) what.push_back(counted(report.unusable.size(), "cannot be used", "cannot be used"));
  std::string parts;
  for (std::size_t i = 0; i < what.size(); ++i)
    parts += (i == 0 ? "" : i + 1 == what.size() ? " and " : ", ") + what[i];
  const std::string first = !report.unusable.empty()    ? report.unusable.front()
                            : !report.misshapen.empty() ? shapes_differ(report.misshapen.front())
                                                        : absent(report.missing.front());
  const char* const advice = report.matched.empty()     ? "compare the names: the report has both"
                             : !report.unusable.empty() ? "mend or remove these data sets"
                                                        : "map names with --rename, or take the rest with --partial";
  return concat(options.file, ": of the network's ", report.tensors, " tensors, ", parts, " (first: ", first,
                "); nothing was written; ", advice);
}

void print_import(std::ostream& out, const ImportOptions& options, const ImportReport& report,
                  std::optional<int> width) {
  out << options.file << (options.group == "/" ? "" : ", group " + options.group) << ": " << report.matched.size()
      << " of " << counted(static_cast<std::size_t>(report.tensors), "tensor", "tensors")
      << " of the network matched\n";
  print_matches(out, report.matched, width);
  std::vector<std::string> missing, misshapen, extra;
  for (const auto& entry : report.missing) missing.push_back(absent(entry));
  for (const auto& entry : report.misshapen) misshapen.push_back(shapes_differ(entry));
  for (const auto& entry : report.extra)
    extra.push_back(concat(entry.name, " (", to_string(entry.shape), " ", entry.type, ")"));
  const std::string kept = options.partial ? ", left at their initial values" : "";
  print_list(out, "missing in the file" + kept + ":", missing);
  print_list(out, "of another shape" + kept + ":", misshapen);
  print_list(out, "not usable:", report.unusable);
  print_list(out, "in the file, but not in the network (not used):", extra);
  print_list(out, "not readable (not used):", report.unreadable);
  if (!report.skipped.empty())
    out << "skipped " << counted(report.skipped.size(), "counter", "counters")
        << " num_batches_tracked, which Sluice does not need\n";
  if (!report.left.empty())
    out << "left out " << counted(report.left.size(), "data set", "data sets") << " outside of weights and buffers ("
        << one_line(report.left.front()) << (report.left.size() == 1 ? ")\n" : ", ...)\n");
  if (!report.kept.empty())
    out << "left " << counted(report.kept.size(), "tensor", "tensors") << " that PyTorch does not have at "
        << (report.kept.size() == 1 ? "its initial value" : "their initial values") << " (" << report.kept.front()
        << (report.kept.size() == 1 ? "" : ", ...") << ")\n";
  if (!report.stripped.empty())
    out << "took the leading module. or _orig_mod. from " << counted(report.stripped.size(), "name", "names") << "\n";
}

void print_json_import(std::ostream& out, const ImportOptions& options, const ImportReport& report,
                       const std::string& output) {
  Json json = {{"file", options.file},
               {"group", options.group},
               {"output", output.empty() ? Json() : Json(output)},
               {"complete", report.complete(false)},
               {"tensors", report.tensors}};
  for (const char* list : {"matched", "missing", "misshapen", "extra"}) json[list] = Json::array();
  for (const auto& entry : report.matched) json["matched"].push_back(match_json(entry));
  for (const auto& entry : report.missing)
    json["missing"].push_back({{"name", entry.name}, {"tensor", entry.tensor}, {"shape", shape_json(entry.shape)}});
  for (const auto& entry : report.misshapen) json["misshapen"].push_back(match_json(entry));
  for (const auto& entry : report.extra)
    json["extra"].push_back({{"name", entry.name}, {"shape", shape_json(entry.shape)}, {"type", entry.type}});
  json["unusable"] = report.unusable;
  json["unreadable"] = report.unreadable;
  json["skipped"] = report.skipped;
  json["kept"] = report.kept;
  json["stripped"] = report.stripped;
  json["left"] = report.left;
  out << json_text(json) << "\n";
}

void print_json_export(std::ostream& out, const std::string& input, const std::string& output, std::int64_t tensors) {
  const Json json = {{"file", input}, {"output", output}, {"tensors", tensors}};
  out << json_text(json) << "\n";
}

}  // namespace sluice
