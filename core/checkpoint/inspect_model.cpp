// Collects what the inspector shows.
#include "core/checkpoint/inspect_model.hpp"

#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/base/error.hpp"
#include "core/checkpoint/checkpoint_read.hpp"
#include "core/checkpoint/per_cent.hpp"

namespace sluice::detail {
namespace {

Json variant_json(const StateValue& value) {
  return std::visit([](const auto& held) { return Json(held); }, value);
}

bool looks_like_a_checkpoint(const Hdf5File& file) {
  return file.has_data_set("format_version") && file.has_data_set("tensor_names");
}

std::string seal_name(SealReport::State state) {
  switch (state) {
    case SealReport::State::kIntact:
      return "intact";
    case SealReport::State::kAbsent:
      return "absent";
    case SealReport::State::kDamaged:
      return "damaged";
  }
  return "unknown";
}

Json set_json(const SetDescription& set) {
  return {{"images", set.images},
          {"shape", to_string(set.shape)},
          {"images_digest", set.images_digest},
          {"labels_digest", set.labels_digest}};
}

Json stats_json(const TensorStats& stats) {
  Json json;
  const bool any_finite = stats.count > stats.nans + stats.infs;
  const auto of_finite = [&](double value) { return any_finite || stats.count == 0 ? Json(value) : Json(); };
  json["min"] = of_finite(stats.min);
  json["max"] = of_finite(stats.max);
  json["mean"] = of_finite(stats.mean);
  json["std"] = of_finite(stats.std);
  json["zero_share"] = stats.count == 0 ? 0.0 : static_cast<double>(stats.zeros) / static_cast<double>(stats.count);
  json["nan"] = stats.nans;
  json["inf"] = stats.infs;
  return json;
}

}  // namespace

bool matches(const std::string& path, const std::string& filter) {
  return filter.empty() || ::fnmatch(filter.c_str(), path.c_str(), 0) == 0;
}

InspectedFile InspectedFile::open(const std::string& path) {
  const SealReport seal = check_seal(path);
  struct stat status {};
  ::stat(path.c_str(), &status);
  Hdf5File hdf5 = seal.state == SealReport::State::kIntact
                      ? Hdf5File::open_image(read_sealed(path), path, ExitCode::kCheckpoint)
                      : Hdf5File::open(path, ExitCode::kCheckpoint);
  InspectedFile file{path, status.st_size, seal, std::move(hdf5), {}, {}, {}};
  file.tree = read_tree(file.file);
  try {
    if (looks_like_a_checkpoint(file.file)) file.checkpoint = read_checkpoint(file.file, path, false);
    if (file.checkpoint) make_shares(*file.checkpoint);
  } catch (const Error& error) {
    if (error.code() == ExitCode::kEnvironment) throw;  // the file may be whole
    file.problem = error.what();
  }
  return file;
}

TensorStats tensor_stats(const Hdf5DataSet& data_set) {
  TensorStats stats;
  double squares = 0;
  std::int64_t finite = 0;
  for_each_block(data_set, [&](const double* values, std::int64_t count) {
    stats.count += count;
    for (std::int64_t i = 0; i < count; ++i) {
      const double value = values[i];
      stats.zeros += value == 0;
      stats.nans += std::isnan(value);
      stats.infs += std::isinf(value);
      if (!std::isfinite(value)) continue;
      stats.min = finite == 0 ? value : std::min(stats.min, value);
      stats.max = finite == 0 ? value : std::max(stats.max, value);
      const double before = value - stats.mean;
      stats.mean += before / static_cast<double>(++finite);
      squares += before * (value - stats.mean);
    }
  });
  if (finite > 0) stats.std = std::sqrt(squares / static_cast<double>(finite));
  return stats;
}

std::vector<TreeDataSet> select_tensors(const InspectedFile& file, const std::string& filter) {
  std::vector<TreeDataSet> selected;
  if (!file.checkpoint) {
    for (const TreeDataSet& data_set : file.tree.data_sets) {
      if (matches(data_set.path, filter)) selected.push_back(data_set);
    }
    return selected;
  }
  std::map<std::string, const TreeDataSet*> by_path;
  for (const TreeDataSet& data_set : file.tree.data_sets) by_path[data_set.path] = &data_set;
  for (const CheckpointTensor& tensor : file.checkpoint->tensors) {
    const auto found = by_path.find(tensor.path);
    if (found == by_path.end() || !matches(tensor.path, filter)) continue;
    selected.push_back(*found->second);
    selected.back().alias_of = tensor.alias_of;
  }
  return selected;
}

Json header_json(const InspectedFile& file) {
  Json json;
  json["file"] = file.path;
  json["bytes"] = file.bytes;
  json["seal"] = seal_name(file.seal.state);
  json["checkpoint"] = file.checkpoint.has_value();
  json["problems"] = file.tree.problems;
  if (!file.problem.empty()) json["problems"].push_back(file.problem);
  if (!file.checkpoint) {
    json["groups"] = file.tree.groups.size();
    json["data_sets"] = file.tree.data_sets.size();
    json["attributes"] = Json::object();
    for (const TreeGroup& group : file.tree.groups) {
      for (const auto& [name, value] : group.attributes) json["attributes"]["/" + group.path][name] = value;
    }
    return json;
  }
  const Checkpoint& checkpoint = *file.checkpoint;
  json["format_version"] = file.file.data_set("format_version").read_text().at(0);
  json["kind"] = to_string(checkpoint.kind);
  json["content_digest"] =
      file.file.has_data_set("content_digest") ? file.file.data_set("content_digest").read_text().at(0) : "";
  json["layers"] = checkpoint.layer_names.size();
  json["plan"] = checkpoint.kernels;
  json["ranges"] = checkpoint.ranges;
  json["state"] = Json::object();
  for (const auto& [name, value] : checkpoint.state) json["state"][name] = variant_json(value);
  json["last_metrics"] = Json::object();
  if (!checkpoint.history.rows.empty()) {
    for (std::size_t i = 0; i < checkpoint.history.columns.size(); ++i)
      json["last_metrics"][checkpoint.history.columns[i]] = checkpoint.history.rows.back()[i];
  }
  json["normalisation"] = {{"mean", checkpoint.mean}, {"std", checkpoint.std}};
  json["class_names"] = checkpoint.class_names;
  json["data"] = Json::object();
  if (checkpoint.data.training) {
    Json& training = json["data"]["training"] = set_json(*checkpoint.data.training);
    training["held_out"] = checkpoint.data.held_out.images;
    training["held_out_seed"] = checkpoint.data.held_out.seed;
    training["held_out_from"] = checkpoint.data.held_out.drawn_from;
  }
  if (checkpoint.data.test) json["data"]["test"] = set_json(*checkpoint.data.test);
  json["run"] = checkpoint.run;
  return json;
}

Json tensors_json(const InspectedFile& file, const InspectOptions& options) {
  const std::vector<TreeDataSet> tensors = select_tensors(file, options.filter);
  double total = 0;
  for (const TreeDataSet& tensor : tensors) {
    if (tensor.alias_of.empty())
      total += static_cast<double>(element_count(tensor.info.shape) * tensor.info.type.bytes);
  }
  Json list = Json::array();
  for (const TreeDataSet& tensor : tensors) {
    const std::int64_t elements = element_count(tensor.info.shape), bytes = elements * tensor.info.type.bytes;
    Json json;
    json["path"] = tensor.path;
    json["dtype"] = to_string(tensor.info.type);
    json["shape"] = tensor.info.shape.dims();
    json["elements"] = elements;
    json["bytes"] = tensor.alias_of.empty() ? bytes : 0;
    json["share"] = total > 0 && tensor.alias_of.empty() ? static_cast<double>(bytes) / total : 0.0;
    if (!tensor.alias_of.empty()) json["alias_of"] = tensor.alias_of;
    if (options.stats && tensor.info.type.is_number()) {
      try {
        json["stats"] = stats_json(tensor_stats(file.file.data_set(tensor.path)));
      } catch (const Error& error) {
        if (error.code() == ExitCode::kEnvironment) throw;  // the file may be whole
        json["problem"] = error.what();
      }
    }
    list.push_back(std::move(json));
  }
  return list;
}

Json history_json(const InspectedFile& file) {
  const HistoryTable history = file.checkpoint ? file.checkpoint->history : HistoryTable{};
  return {{"columns", history.columns}, {"rows", history.rows}};
}

std::string config_text(const InspectedFile& file) {
  if (file.checkpoint) return file.checkpoint->config;
  throw Error(ExitCode::kCheckpoint,
              file.path + ": holds no configuration" + (file.problem.empty() ? "" : ": " + file.problem));
}

}  // namespace sluice::detail
