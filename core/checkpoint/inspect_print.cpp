// The printed form of what the inspector found.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <ostream>

#include "core/base/json_text.hpp"
#include "core/base/printable.hpp"
#include "core/base/table.hpp"
#include "core/base/units.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/checkpoint/inspect_model.hpp"
#include "core/config/text.hpp"

namespace sluice::detail {
namespace {

constexpr auto kLeft = Table::Align::kLeft, kRight = Table::Align::kRight;
constexpr auto kCuts = Table::Narrow::kCuts, kWraps = Table::Narrow::kWraps;
constexpr auto kAlways = Table::kAlways;

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

/// A metric as a person reads it, under its shown name.
std::string metric(const std::string& column, const Json& value) {
  return value.is_number() ? shown_text(column, value.get<double>()) : show(value);
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

void print_pairs(Table& table, const std::string& title, const Json& pairs) {
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

/// A figure of a tensor's values.
std::string stat(const Json& stats, const char* name) {
  return stats[name].is_null() ? "-" : number(stats[name].get<double>(), "%.4g");
}

/// "-0.1736 to 0.4101": one cell, so that neither makes way without the other.
std::string range_cell(const Json& stats) {
  return stats["min"].is_null() ? "-" : concat(stat(stats, "min"), " to ", stat(stats, "max"));
}

std::vector<std::string> stats_cells(const Json& tensor) {
  if (!tensor.contains("stats")) return {};
  const Json& stats = tensor["stats"];
  std::vector<std::string> cells = {range_cell(stats), stat(stats, "mean"), stat(stats, "std")};
  cells.push_back(number(100 * stats["zero_share"].get<double>(), "%.1f"));
  cells.push_back(show(stats["nan"]));
  cells.push_back(show(stats["inf"]));
  return cells;
}

/// Density, multiply-adds and bits of a layer or of the network; dashes where the file does not tell.
std::vector<std::string> cost_cells(const Json& layer) {
  if (!layer.contains("macs_dense")) return {"-", "-", "-", "-", "-", "-"};
  const auto value = [&](const char* name) { return layer[name].get<double>(); };
  const std::string density = layer["density"].is_null() ? "-" : share_text(value("density"));
  if (value("macs_dense") == 0) return {density, "-", "-", "-", "-", "-"};
  return {density,
          share_text(value("macs_executed") / value("macs_dense")),
          operations_text(value("macs_executed")),
          operations_text(value("macs_dense")),
          bits_text(value("average_bits")),
          share_text(value("bit_operations_executed") / value("bit_operations_dense"))};
}

/// What was measured of the run's time, as one figure: of the running epoch it is 0 at the ends of epochs.
Json with_one_time(Json run) {
  double seconds = 0;
  bool known = false;
  for (const char* part : {"elapsed_seconds", "train_seconds"}) {
    if (!run.contains(part)) continue;
    known = true;
    seconds += std::strtod(show(run[part]).c_str(), nullptr);
    run.erase(part);
  }
  run.erase("data_wait_seconds");
  if (known) run["time of training"] = time_text(seconds);
  return run;
}

std::string seal_text(const std::string& seal) {
  if (seal == "intact") return "seal intact";
  return seal == "absent" ? "no seal: not written by Sluice, or rewritten" : "damaged";
}

}  // namespace

void print_json(std::ostream& out, const Json& json) {
  out << json_text(json) << "\n";
}

void print_header(std::ostream& out, const Json& header, Width width) {
  Table table({{"", kLeft}, {"", kLeft, kAlways, kWraps}});
  table.add({"file", concat(show(header["file"]), " (", size_text(header["bytes"].get<double>()), ", ",
                            seal_text(header["seal"].get<std::string>()), ")")});
  for (const Json& problem : header["problems"]) table.add({"problem", show(problem)});
  if (!header["checkpoint"].get<bool>()) {
    table.add({"contents", concat(header["groups"], " groups, ", header["data_sets"],
                                  " data sets; no readable Sluice checkpoint")});
    for (const auto& [path, attributes] : header["attributes"].items()) print_pairs(table, path, attributes);
    table.print(out, width);
    return;
  }
  table.add({"kind", concat(show(header["kind"]), ", format ", show(header["format_version"]))});
  table.add({"digest", show(header["content_digest"])});
  print_pairs(table, "state", header["state"]);
  Json last = Json::object();
  for (const auto& [name, value] : header["last_metrics"].items())
    if (!is_of_layer(name)) last[shown_name(name)] = metric(name, value);
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
  if (!header["plan"].empty()) table.add({"", "(docs/glossary.md says what each way is)"});
  print_pairs(table, "run", with_one_time(header["run"]));
  table.print(out, width);
}

void print_tensors(std::ostream& out, const Json& tensors, const Json& header, Width width) {
  const bool checkpoint = header["checkpoint"].get<bool>();
  const auto any = [&](const char* member) {
    return std::any_of(tensors.begin(), tensors.end(), [&](const Json& t) { return t.contains(member); });
  };
  std::vector<Table::Column> columns = {{"tensor", kLeft, kAlways, kCuts}, {"dtype", kLeft, 30}, {"shape", kLeft, 90},
                                        {"elements", kRight, 45},          {"MiB", kRight, 40},  {"%", kRight, 20}};
  // Columns of zeros say little.
  const bool finite = std::all_of(tensors.begin(), tensors.end(), [](const Json& t) {
    return !t.contains("stats") || (t["stats"]["nan"] == 0 && t["stats"]["inf"] == 0);
  });
  const int broken = finite ? 30 : 95;
  if (any("stats"))
    columns.insert(columns.end(), {{"range", kRight, 80},
                                   {"mean", kRight, 85},
                                   {"std", kRight, 85},
                                   {"% zero", kRight, 40},
                                   {"NaN", kRight, broken},
                                   {"Inf", kRight, broken}});
  const std::size_t remarks = columns.size();
  if (any("alias_of") || any("problem")) columns.push_back({"", kLeft, kAlways, kWraps});
  Table table(columns);
  std::string group;
  double elements = 0, bytes = 0;
  std::map<std::string, double> by_group;
  for (const Json& tensor : tensors) {
    const auto [part, name] = split(tensor["path"].get<std::string>(), checkpoint);
    if (part != group) table.add_heading(part + "/");
    group = part;
    std::vector<std::string> cells = {(part.empty() ? "" : "  ") + name,
                                      show(tensor["dtype"]),
                                      shape_text(tensor["shape"]),
                                      count_text(tensor["elements"].get<std::int64_t>()),
                                      number(tensor["bytes"].get<double>() / 1048576, "%.3f"),
                                      number(100 * tensor["share"].get<double>(), "%.1f")};
    const std::vector<std::string> more = stats_cells(tensor);
    cells.insert(cells.end(), more.begin(), more.end());
    cells.resize(columns.size());
    if (tensor.contains("problem")) cells[remarks] = show(tensor["problem"]);
    if (tensor.contains("alias_of")) {
      cells[remarks] = "= " + show(tensor["alias_of"]);
    } else {
      elements += tensor["elements"].get<double>();
      bytes += tensor["bytes"].get<double>();
      by_group[group] += tensor["elements"].get<double>();
    }
    table.add(std::move(cells));
  }
  table.print(out, width);
  out << concat(tensors.size(), " tensors, ", count_text(static_cast<std::int64_t>(elements)), " elements, ",
                size_text(bytes));
  if (checkpoint) {
    for (const auto& [name, count] : by_group)
      out << "; " << name << " " << count_text(static_cast<std::int64_t>(count));
  }
  if (any("stats") && finite) out << "; no NaN or Inf";
  out << "\n";
}

/// How soon it makes way.
int importance_of(const std::string& column) {
  if (column == "epoch") return kAlways;
  const int of_training = starts_with(column, "val_") || starts_with(column, "test_") ? 0 : 25;
  for (const auto& [words, importance] : {std::pair<const char*, int>{"accuracy", 90}, {"_loss", 80}, {"density", 70}})
    if (ends_with(column, words)) return importance - of_training;
  return 40 - of_training;
}

void print_history(std::ostream& out, const Json& history, Width width) {
  if (history["columns"].empty()) {
    out << "no history\n";
    return;
  }
  const auto columns = history["columns"].get<std::vector<std::string>>();
  std::vector<std::size_t> shown;
  std::vector<Table::Column> titles;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (is_of_layer(columns[c])) continue;
    shown.push_back(c);
    titles.push_back({shown_name(columns[c]), kRight, importance_of(columns[c])});
  }
  Table table(titles);
  for (const Json& row : history["rows"]) {
    std::vector<std::string> cells;
    for (const std::size_t c : shown) {
      const std::string text = metric(columns[c], row[c]);
      cells.push_back(text == "nan" ? "-" : text);  // not every row measures everything
    }
    table.add(std::move(cells));
  }
  table.print(out, width);
  const auto left_out = std::count_if(columns.begin(), columns.end(), is_of_layer);
  if (left_out > 0) out << left_out << " columns of single layers are not shown; --json has them\n";
}

namespace {

/// Where the figures of gates come from.
std::string origin_of(const Json& totals) {
  if (totals.empty()) return "the file does not say what its layers cost: checkpoints do from format 1.1 on";
  if (totals["counted_in"].is_null()) return "nothing was counted yet: all work is shown as done";
  std::string text = concat("for one image, counted in the ",
                            totals["counted_in"] == "evaluation" ? "last evaluation" : "training epoch");
  if (totals["split"].is_null() || (totals["split"] == "training" && totals["images"].is_null())) return text;
  const std::string image = show(totals["split"]) + " image";
  return concat(text, ", on ",
                totals["images"].is_null() ? image + "s" : counted(totals["images"].get<std::int64_t>(), image));
}

}  // namespace

void print_decisions(std::ostream& out, const Json& decisions, Width width) {
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
  std::vector<Table::Column> columns = {{"layer", kLeft, kAlways, kCuts}};
  for (const Json& name : deciding)
    columns.insert(columns.end(), {{concat(name.get<std::string>(), " mean"), kRight, 70}, {"range", kRight, 45}});
  const auto any = [&](const auto& holds) {
    return std::any_of(decisions["layers"].begin(), decisions["layers"].end(),
                       [&](const Json& layer) { return layer.contains("macs_dense") && holds(layer); });
  };
  constexpr double kFloat = 32;
  const bool narrow = any([](const Json& layer) {
    const double bits = layer["average_bits"].get<double>();
    return bits > 0 && bits < kFloat;
  });
  const bool skips = !narrow || any([](const Json& layer) { return layer["macs_saved"].get<double>() > 0; });
  columns.insert(columns.end(), {{"density", kRight, 90},
                                 {"cost", kRight,
                                  !skips   ? 20
                                  : narrow ? 65
                                           : 80},
                                 {"multiply-adds", kRight, skips ? 60 : 25},
                                 {"dense", kRight, 40}});
  if (narrow) columns.insert(columns.end(), {{"bits", kRight, 85}, {"bit cost", kRight, 82}});
  Table table(columns);
  for (const Json& layer : decisions["layers"]) {
    std::vector<std::string> cells = {show(layer["layer"])};
    for (const Json& name : deciding) {
      const auto values = layer.find(name.get<std::string>());
      const bool known = values != layer.end();
      cells.insert(cells.end(), {known ? stat(*values, "mean") : "-", known ? range_cell(*values) : "-"});
    }
    const std::vector<std::string> more = cost_cells(layer);
    cells.insert(cells.end(), more.begin(), more.end());
    table.add(cells);
  }
  if (!totals.empty()) {
    std::vector<std::string> cells = {"whole network"};
    cells.resize(1 + 2 * deciding.size());
    const std::vector<std::string> more = cost_cells(totals);
    cells.insert(cells.end(), more.begin(), more.end());
    table.add(cells);
  }
  table.print(out, width);
  out << origin_of(totals) << "\n";
}

void print_diff(std::ostream& out, const Json& diff, Width width) {
  Table table({{"tensor", kLeft, kAlways, kCuts},
               {"shape", kLeft, 60},
               {"max abs", kRight, 90},
               {"max rel", kRight, 80},
               {"cosine", kRight, 50},
               {"differing", kRight, 70}});
  std::string group;
  for (const Json& tensor : diff["tensors"]) {
    if (tensor["equal"].get<bool>()) continue;
    const auto [part, rest] = split(tensor["path"].get<std::string>(), true);
    if (part != group) table.add_heading(part + "/");
    group = part;
    const std::string name = (part.empty() ? "" : "  ") + rest;
    if (tensor.contains("problem"))
      table.add_heading(concat(name, "  ", show(tensor["problem"])));
    else
      table.add({name, shape_text(tensor["shape"]), show(tensor["max_abs"]), show(tensor["max_rel"]),
                 show(tensor["cosine"]), show(tensor["differing"])});
  }
  const bool any = diff["differing"].get<std::int64_t>() > 0;
  if (any) table.print(out, width);
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
