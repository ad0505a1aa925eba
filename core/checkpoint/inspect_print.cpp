// The printed form of what the inspector found.
#include <algorithm>
#include <cstdio>
#include <map>
#include <ostream>

#include "core/base/json_text.hpp"
#include "core/base/printable.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/checkpoint/inspect_model.hpp"
#include "core/config/text.hpp"

namespace sluice::detail {
namespace {

/// Columns are as wide as their longest cell; cells that begin like a number stand at the right.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> titles) { add(std::move(titles)); }
  void add(std::vector<std::string> cells) {
    for (std::string& cell : cells) cell = one_line(cell);
    rows_.push_back(std::move(cells));
  }
  /// The first `left` columns stand at the left, the others at the right.
  void print(std::ostream& out, std::size_t left) const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
      widths.resize(std::max(widths.size(), row.size()), 0);
      // A row of one cell is a heading and may be longer than its column.
      for (std::size_t i = 0; i < row.size() && row.size() > 1; ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows_) out << line(row, widths, left) << "\n";
  }

 private:
  static std::string line(const std::vector<std::string>& row, const std::vector<std::size_t>& widths,
                          std::size_t left) {
    std::string text;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string gap(widths[i] - std::min(widths[i], row[i].size()), ' ');
      text += (i == 0 ? "" : "  ") + (i < left ? row[i] + gap : gap + row[i]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  }
  std::vector<std::vector<std::string>> rows_;
};

std::string number(double value, const char* format) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

/// Text as it is, numbers short, missing and NaN as "nan".
std::string show(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return number(value.get<double>(), "%.6g");
  if (value.is_null()) return "nan";
  return json_text(value, -1);
}

/// A metric as a person reads it.
Json for_people(const std::string& column, const Json& value) {
  return is_accuracy(column) && value.is_number() ? Json(metric_text(column, value.get<double>())) : value;
}

std::string size_text(double bytes) {
  if (bytes < 1024) return number(bytes, "%.0f bytes");
  if (bytes < 1024 * 1024) return number(bytes / 1024, "%.1f KiB");
  return number(bytes / 1024 / 1024, "%.2f MiB");
}

std::string shape_text(const Json& shape) {
  return to_string(Shape(shape.get<std::vector<std::int64_t>>()));
}

std::string list_text(const Json& list, const std::string& separator) {
  std::string text;
  for (const Json& item : list) text += (text.empty() ? "" : separator) + show(item);
  return text;
}

void print_pairs(TextTable& table, const std::string& title, const Json& pairs) {
  bool first = true;
  for (const auto& [name, value] : pairs.items()) {
    table.add({first ? title : "", name + " = " + show(value)});
    first = false;
  }
}

/// The part of a path under which tensors are listed together, and the rest.
std::pair<std::string, std::string> split(const std::string& path, bool checkpoint) {
  const std::size_t slash = checkpoint ? path.find('/') : path.rfind('/');
  return slash == std::string::npos
             ? std::pair<std::string, std::string>{"", path}
             : std::pair<std::string, std::string>{path.substr(0, slash), path.substr(slash + 1)};
}

std::vector<std::string> stats_cells(const Json& tensor) {
  if (!tensor.contains("stats"))
    return tensor.contains("problem") ? std::vector<std::string>{show(tensor["problem"])} : std::vector<std::string>{};
  const Json& stats = tensor["stats"];
  std::vector<std::string> cells;
  for (const char* name : {"min", "max", "mean", "std"}) cells.push_back(number(stats[name].get<double>(), "%.4g"));
  cells.push_back(number(100 * stats["zero_share"].get<double>(), "%.1f"));
  cells.push_back(show(stats["nan"]));
  cells.push_back(show(stats["inf"]));
  return cells;
}

/// Density, multiply-adds and bits of a layer or of the network; dashes where the file does not tell.
std::vector<std::string> cost_cells(const Json& layer) {
  if (!layer.contains("macs_dense")) return {"-", "-", "-", "-", "-"};
  const double dense = layer["macs_dense"].get<double>(), saved = layer["macs_saved"].get<double>();
  return {layer["density"].is_null() ? "-" : number(layer["density"].get<double>(), "%.4f"), number(dense, "%.0f"),
          number(layer["macs_executed"].get<double>(), "%.0f"),
          number(dense > 0 ? 100 * saved / dense : 0.0, "%.1f %%"),
          number(layer["average_bits"].get<double>(), "%.2f")};
}

std::string seal_text(const std::string& seal) {
  if (seal == "intact") return "seal intact";
  return seal == "absent" ? "no seal: not written by Sluice, or rewritten" : "damaged";
}

}  // namespace

void print_json(std::ostream& out, const Json& json) {
  out << json_text(json) << "\n";
}

void print_header(std::ostream& out, const Json& header) {
  TextTable table({"file", concat(show(header["file"]), " (", size_text(header["bytes"].get<double>()), ", ",
                                  seal_text(header["seal"].get<std::string>()), ")")});
  for (const Json& problem : header["problems"]) table.add({"problem", show(problem)});
  if (!header["checkpoint"].get<bool>()) {
    table.add({"contents", concat(header["groups"], " groups, ", header["data_sets"],
                                  " data sets; no readable Sluice checkpoint")});
    for (const auto& [path, attributes] : header["attributes"].items()) print_pairs(table, path, attributes);
    table.print(out, 2);
    return;
  }
  table.add({"kind", concat(show(header["kind"]), ", format ", show(header["format_version"]))});
  table.add({"digest", show(header["content_digest"])});
  print_pairs(table, "state", header["state"]);
  Json last = Json::object();
  for (const auto& [name, value] : header["last_metrics"].items())
    if (!is_of_layer(name)) last[name] = for_people(name, value);
  print_pairs(table, "last metrics", last);
  const Json& mean = header["normalisation"]["mean"];
  if (!mean.empty())
    table.add({"normalisation",
               concat("mean ", list_text(mean, " "), ", std ", list_text(header["normalisation"]["std"], " "))});
  if (!header["class_names"].empty())
    table.add({"classes", concat(header["class_names"].size(), ": ", list_text(header["class_names"], ", "))});
  for (const auto& [name, set] : header["data"].items()) {
    const bool split = set.contains("held_out") && set["held_out"] != 0;
    table.add({name == "training" ? "trained on" : "tested on",
               concat(show(set["images"]), " images of ", show(set["shape"]),
                      split ? concat(", ", show(set["held_out"]), " of them held out") : std::string(), ", digest ",
                      show(set["images_digest"]))});
  }
  table.add({"layers", show(header["layers"])});
  print_pairs(table, "plan", header["plan"]);
  print_pairs(table, "run", header["run"]);
  table.print(out, 2);
}

void print_tensors(std::ostream& out, const Json& tensors, const Json& header) {
  const bool checkpoint = header["checkpoint"].get<bool>();
  const bool stats = std::any_of(tensors.begin(), tensors.end(), [](const Json& t) { return t.contains("stats"); });
  std::vector<std::string> titles = {"tensor", "dtype", "shape", "elements", "MiB", "%"};
  if (stats) titles.insert(titles.end(), {"min", "max", "mean", "std", "% zero", "NaN", "Inf"});
  TextTable table(titles);
  std::string group;
  double elements = 0, bytes = 0;
  std::map<std::string, double> by_group;
  for (const Json& tensor : tensors) {
    const auto [part, name] = split(tensor["path"].get<std::string>(), checkpoint);
    if (part != group) table.add({part + "/"});
    group = part;
    std::vector<std::string> cells = {(part.empty() ? "" : "  ") + name,
                                      show(tensor["dtype"]),
                                      shape_text(tensor["shape"]),
                                      show(tensor["elements"]),
                                      number(tensor["bytes"].get<double>() / 1048576, "%.3f"),
                                      number(100 * tensor["share"].get<double>(), "%.1f")};
    const std::vector<std::string> more = stats_cells(tensor);
    cells.insert(cells.end(), more.begin(), more.end());
    if (tensor.contains("alias_of")) {
      cells.resize(std::max<std::size_t>(cells.size(), titles.size()));
      cells.push_back("= " + show(tensor["alias_of"]));
    } else {
      elements += tensor["elements"].get<double>();
      bytes += tensor["bytes"].get<double>();
      by_group[group] += tensor["elements"].get<double>();
    }
    table.add(cells);
  }
  table.print(out, 3);
  out << concat(tensors.size(), " tensors, ", number(elements, "%.0f"), " elements, ", size_text(bytes));
  if (checkpoint) {
    for (const auto& [name, count] : by_group) out << "; " << name << " " << number(count, "%.0f");
  }
  out << "\n";
}

void print_history(std::ostream& out, const Json& history) {
  if (history["columns"].empty()) {
    out << "no history\n";
    return;
  }
  const auto columns = history["columns"].get<std::vector<std::string>>();
  const auto whole = [&](const auto& cell_of) {
    std::vector<std::string> cells;
    for (std::size_t c = 0; c < columns.size(); ++c)
      if (!is_of_layer(columns[c])) cells.push_back(cell_of(c));
    return cells;
  };
  TextTable table(whole([&](std::size_t c) { return columns[c]; }));
  for (const Json& row : history["rows"])
    table.add(whole([&](std::size_t c) { return show(for_people(columns[c], row[c])); }));
  table.print(out, 0);
  const auto left_out = std::count_if(columns.begin(), columns.end(), is_of_layer);
  if (left_out > 0) out << left_out << " columns of single layers are not shown; --json has them\n";
}

void print_decisions(std::ostream& out, const Json& decisions) {
  const Json &totals = decisions["totals"], &deciding = decisions["deciding"];
  if (decisions["layers"].empty()) {
    std::vector<std::string> what;
    for (const Json& name : deciding) what.push_back(name.get<std::string>() + "s");
    if (what.empty() || !totals.empty()) what.emplace_back("work that depends on its images");
    out << "no layer" << (decisions["filtered"].get<bool>() ? " that matches" : "") << " has " << join(what, " or ")
        << "\n";
    if (totals.empty()) out << "the file does not say what its layers cost: checkpoints do from format 1.1 on\n";
    return;
  }
  std::vector<std::string> titles = {"layer"};
  for (const Json& name : deciding)
    titles.insert(titles.end(), {concat(name.get<std::string>(), " min"), "mean", "max"});
  titles.insert(titles.end(), {"density", "MACs", "executed", "saved", "bits"});
  TextTable table(titles);
  for (const Json& layer : decisions["layers"]) {
    std::vector<std::string> cells = {show(layer["layer"])};
    for (const Json& name : deciding) {
      const auto values = layer.find(name.get<std::string>());
      for (const char* value : {"min", "mean", "max"})
        cells.push_back(values != layer.end() ? show((*values)[value]) : "-");
    }
    const std::vector<std::string> more = cost_cells(layer);
    cells.insert(cells.end(), more.begin(), more.end());
    table.add(cells);
  }
  if (!totals.empty()) {
    std::vector<std::string> cells = {"whole network"};
    cells.resize(1 + 3 * deciding.size());
    const std::vector<std::string> more = cost_cells(totals);
    cells.insert(cells.end(), more.begin(), more.end());
    table.add(cells);
  }
  table.print(out, 1);
  if (totals.empty()) {
    out << "the file does not say what its layers cost: checkpoints do from format 1.1 on\n";
  } else if (totals["counted_in"].is_null()) {
    out << "nothing was counted yet: all work is shown as done\n";
  } else {
    const bool evaluated = totals["counted_in"] == "evaluation";
    out << "MACs for one image, " << number(totals["flop_reduction"].get<double>(), "%.3g")
        << " times fewer than dense; counted in the " << (evaluated ? "last evaluation" : "training epoch") << "\n";
  }
}

void print_diff(std::ostream& out, const Json& diff) {
  TextTable table({"tensor", "shape", "max abs", "max rel", "cosine", "differing"});
  for (const Json& tensor : diff["tensors"]) {
    if (tensor["equal"].get<bool>()) continue;
    if (tensor.contains("problem"))
      table.add({show(tensor["path"]), show(tensor["problem"])});
    else
      table.add({show(tensor["path"]), shape_text(tensor["shape"]), show(tensor["max_abs"]), show(tensor["max_rel"]),
                 show(tensor["cosine"]), show(tensor["differing"])});
  }
  const bool any = diff["differing"].get<std::int64_t>() > 0;
  if (any) table.print(out, 2);
  for (const char* side : {"a", "b"}) {
    for (const Json& path : diff[concat("only_in_", side)])
      out << "only in " << one_line(show(diff[side])) << ": " << one_line(show(path)) << "\n";
  }
  for (const Json& difference : diff["other"]) out << one_line(show(difference)) << "\n";
  if (diff["equal"].get<bool>()) {
    out << "equal: " << diff["tensors"].size() << " tensors\n";
  } else {
    out << "different: " << diff["differing"] << " of " << diff["tensors"].size() << " common tensors, "
        << diff["only_in_a"].size() + diff["only_in_b"].size() << " in one file only, " << diff["other"].size()
        << " other differences\n";
  }
}

}  // namespace sluice::detail
