// Writing checkpoints: the document is checked, laid out as HDF5 in memory, sealed, and put in place atomically.
#include <cmath>
#include <set>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/output.hpp"
#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/checkpoint_read.hpp"
#include "core/checkpoint/hdf5.hpp"
#include "core/checkpoint/seal.hpp"

namespace sluice {
namespace {

[[noreturn]] void refuse(const std::string& text) {
  throw Error(ExitCode::kInternal, "this checkpoint cannot be stored: " + text);
}

void check_text(const std::string& what, const std::string& text) {
  if (text.find('\0') != std::string::npos) refuse(what + " contains a zero byte");
}

/// A name of one HDF5 object.
void check_name(const std::string& what, const std::string& name) {
  check_text(what, name);
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
    refuse(concat(what, " '", name, "' is no valid name"));
}

void check_path(const std::string& path) {
  std::size_t parts = 0;
  for (std::size_t begin = 0; begin <= path.size(); ++parts) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    check_name("a part of the tensor path '" + path + "',", path.substr(begin, end - begin));
    begin = end + 1;
  }
  const std::string root = path.substr(0, path.find('/'));
  if (parts < 3 || (root != "weights" && root != "buffers" && root != "optimizer" && root != "ema"))
    refuse(concat("tensor path '", path,
                  "' is none of weights/<layer>/<name>, buffers/<layer>/<name>, optimizer/<slot>/..., ema/..."));
}

void check_tensors(const Checkpoint& checkpoint) {
  std::set<std::string> paths;
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    check_path(tensor.path);
    if (!paths.insert(tensor.path).second) refuse("tensor " + tensor.path + " is there twice");
    for (std::int64_t size : tensor.shape.dims()) {
      if (size < 0) refuse(concat("tensor ", tensor.path, " has shape ", to_string(tensor.shape)));
    }
    const CheckpointTensor& owner = checkpoint.values_of(tensor);
    if (paths.count(owner.path) == 0)
      refuse(concat("tensor ", tensor.path, " comes before ", owner.path, ", whose values it shares"));
    if (owner.shape != tensor.shape || (&owner != &tensor && !tensor.values.empty()))
      refuse(concat("tensor ", tensor.path, " (", to_string(tensor.shape), ") differs from ", owner.path, " (",
                    to_string(owner.shape), "), whose values it shares"));
    if (static_cast<std::int64_t>(owner.values.size()) != owner.shape.count())
      refuse(
          concat("tensor ", owner.path, " of shape ", to_string(owner.shape), " has ", owner.values.size(), " values"));
  }
}

void check_tables(const Checkpoint& checkpoint) {
  const HistoryTable& history = checkpoint.history;
  for (const std::string& column : history.columns) {
    check_text("history column", column);
    if (column.empty()) refuse("a history column has no name");
  }
  if (std::set<std::string>(history.columns.begin(), history.columns.end()).size() != history.columns.size())
    refuse("two history columns have the same name");
  for (const auto& row : history.rows) {
    if (row.size() != history.columns.size() || row.empty())
      refuse(concat("a history row has ", row.size(), " values for ", history.columns.size(), " columns"));
  }
  for (const auto& [name, value] : checkpoint.state) {
    check_name("state value", name);
    if (const std::string* text = std::get_if<std::string>(&value)) check_text("state value " + name, *text);
  }
  for (const auto& [name, text] : checkpoint.run) {
    check_name("run value", name);
    check_text("run value " + name, text);
  }
  for (const StatisticTable* table : {&checkpoint.statistics, &checkpoint.evaluation}) {
    for (const auto& [layer, values] : *table) {
      check_name("layer with statistics", layer);
      for (const auto& [name, value] : values) check_name("statistic of " + layer, name);
    }
  }
  for (const auto& [layer, kernel] : checkpoint.kernels) {
    check_name("layer with a plan", layer);
    check_text("the plan of " + layer, kernel);
  }
  for (const auto& [layer, range] : checkpoint.ranges) {
    check_name("layer with a range", layer);
    if (!(range >= 0) || std::isinf(range))
      refuse(concat("the range of ", layer, " is ", range, ", expected a finite number of at least 0"));
  }
  for (const auto& [layer, terms] : checkpoint.costs) {
    check_name("layer with costs", layer);
    for (const CheckpointCost& term : terms) {
      if (term.open.empty() != term.total.empty())
        refuse(concat("a cost of ", layer, " has the statistics '", term.open, "' and '", term.total,
                      "', expected both or none"));
      check_text("a cost of " + layer, term.open + term.total);
    }
  }
  for (const std::string& name : checkpoint.class_names) check_text("class name", name);
  for (const std::string& name : checkpoint.layer_names) check_name("layer", name);
  check_text("the configuration", checkpoint.config);
}

/// Creates groups on the way to a tensor once.
class Tree {
 public:
  explicit Tree(Hdf5File& file) : file_(file) {}
  Hdf5Group& group(const std::string& path) {
    const auto found = groups_.find(path);
    if (found != groups_.end()) return found->second;
    const std::size_t slash = path.rfind('/');
    Hdf5Group made = slash == std::string::npos ? file_.create_group(path)
                                                : group(path.substr(0, slash)).create_group(path.substr(slash + 1));
    return groups_.emplace(path, std::move(made)).first->second;
  }

 private:
  Hdf5File& file_;
  std::map<std::string, Hdf5Group> groups_;
};

void write_tensors(const Checkpoint& checkpoint, Hdf5File& file) {
  Tree tree(file);
  std::vector<std::string> names;
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    const std::size_t slash = tensor.path.rfind('/');
    Hdf5Group& group = tree.group(tensor.path.substr(0, slash));
    const std::string name = tensor.path.substr(slash + 1);
    if (tensor.alias_of.empty())
      group.write(name, tensor.shape, tensor.values.data());
    else
      group.link(name, "/" + tensor.alias_of);
    names.push_back(tensor.path);
  }
  file.write_text("tensor_names", names);
}

void write_list(Hdf5Group& group, const std::string& name, const std::vector<double>& values) {
  group.write(name, Shape{static_cast<std::int64_t>(values.size())}, values.data());
}

void write_history(const HistoryTable& history, Hdf5File& file) {
  if (history.columns.empty()) return;
  std::vector<double> values;
  for (const auto& row : history.rows) values.insert(values.end(), row.begin(), row.end());
  file.write_table("history", history.columns, values);
}

void write_state(const Checkpoint& checkpoint, Hdf5File& file) {
  Hdf5Group group = file.create_group("state");
  for (const auto& [name, value] : checkpoint.state) {
    if (const auto* integer = std::get_if<std::int64_t>(&value))
      group.write(name, Shape{}, integer);
    else if (const auto* real = std::get_if<double>(&value))
      group.write(name, Shape{}, real);
    else
      group.write_text(name, std::get<std::string>(value));
  }
}

void write_statistics(const std::string& name_of_all, const StatisticTable& table, Hdf5File& file) {
  Hdf5Group statistics = file.create_group(name_of_all);
  for (const auto& [layer, values] : table) {
    Hdf5Group group = statistics.create_group(layer);
    for (const auto& entry : values)
      std::visit([&group, &name = entry.first](auto value) { group.write_attribute(name, value); }, entry.second);
  }
}

void write_costs(const Checkpoint& checkpoint, Hdf5File& file) {
  Hdf5Group costs = file.create_group("costs");
  for (const auto& [layer, terms] : checkpoint.costs) {
    Hdf5Group of_layer = costs.create_group(layer);
    for (std::size_t i = 0; i < terms.size(); ++i) {
      Hdf5Group term = of_layer.create_group(std::to_string(i));
      term.write_attribute("macs", terms[i].macs);
      term.write_attribute("weight_bits", terms[i].weight_bits);
      term.write_attribute("activation_bits", terms[i].activation_bits);
      term.write_attribute("refines", std::int64_t{terms[i].refines});
      if (terms[i].open.empty()) continue;
      term.write_attribute("open", terms[i].open);
      term.write_attribute("total", terms[i].total);
    }
  }
}

void write_set(Hdf5Group& data, const std::string& name, const SetDescription& set, const HeldOut* held_out) {
  Hdf5Group group = data.create_group(name);
  group.write_attribute("images", set.images);
  group.write_attribute("channels", set.shape.channels);
  group.write_attribute("height", set.shape.height);
  group.write_attribute("width", set.shape.width);
  group.write_attribute("images_digest", set.images_digest);
  group.write_attribute("labels_digest", set.labels_digest);
  if (held_out == nullptr) return;
  group.write_attribute("held_out", held_out->images);
  group.write_attribute("held_out_seed", held_out->seed);
  group.write_attribute("held_out_from", held_out->drawn_from);
}

std::vector<char> lay_out(const Checkpoint& checkpoint, const std::string& path, const std::string& digest) {
  Hdf5File file = Hdf5File::create_image(path, ExitCode::kEnvironment);
  file.write_text("format_version", concat(kCheckpointMajor, ".", kCheckpointMinor));
  file.write_text("kind", to_string(checkpoint.kind));
  file.write_text("content_digest", digest);
  write_tensors(checkpoint, file);
  write_state(checkpoint, file);
  write_history(checkpoint.history, file);
  file.write_text("config", std::vector<std::string>{checkpoint.config});
  {
    Hdf5Group normalisation = file.create_group("normalisation");
    write_list(normalisation, "mean", checkpoint.mean);
    write_list(normalisation, "std", checkpoint.std);
  }
  file.write_text("class_names", checkpoint.class_names);
  file.write_text("layer_names", checkpoint.layer_names);
  write_statistics("statistics", checkpoint.statistics, file);
  write_statistics("evaluation", checkpoint.evaluation, file);
  write_costs(checkpoint, file);
  {
    Hdf5Group plan = file.create_group("plan");
    for (const auto& [layer, kernel] : checkpoint.kernels) plan.write_text(layer, kernel);
  }
  {
    Hdf5Group ranges = file.create_group("ranges");
    for (const auto& [layer, range] : checkpoint.ranges) write_list(ranges, layer, {range});
  }
  {
    Hdf5Group data = file.create_group("data");
    if (checkpoint.data.training) write_set(data, "training", *checkpoint.data.training, &checkpoint.data.held_out);
    if (checkpoint.data.test) write_set(data, "test", *checkpoint.data.test, nullptr);
  }
  {
    // Last, so that it moves nothing else when its texts have other lengths.
    Hdf5Group run = file.create_group("run");
    for (const auto& [name, text] : checkpoint.run) run.write_text(name, text);
  }
  return file.image();
}

[[noreturn]] void fail_read_back(const std::string& problem) {
  throw Error(ExitCode::kEnvironment,
              "the checkpoint just written does not read back: " + problem + "; check disk and memory");
}

/// Nothing counts that does not read back as what was to be written: the library may have lost a part of it.
void check_contents(std::vector<char> contents, const std::string& path, const Checkpoint& checkpoint,
                    const std::string& digest) {
  try {
    const Hdf5File file = Hdf5File::open_image(std::move(contents), path, ExitCode::kCheckpoint);
    const Checkpoint found = read_checkpoint(file, path);
    check_content(file, found);
    if (content_digest(found) == digest && found.run == checkpoint.run) return;
  } catch (const Error& error) {
    fail_read_back(error.what());
  }
  fail_read_back(path + ": its contents are not those that were to be written");
}

/// The disk may give other bytes than it was given. (No HDF5 while there is a temporary: for want of memory the library
/// has been seen to end the process.)
void check_written(const std::string& temporary, const std::string& path) {
  std::string problem;
  try {
    problem = check_seal(temporary).text;
  } catch (const Error& error) {
    problem = error.what();
  }
  const std::size_t at = problem.find(temporary);
  if (at != std::string::npos) problem.replace(at, temporary.size(), path);
  if (!problem.empty()) fail_read_back(problem);
}

std::vector<char> sealed(const Checkpoint& checkpoint, const std::string& path) {
  check_tensors(checkpoint);
  check_tables(checkpoint);
  const std::string digest = content_digest(checkpoint);
  std::vector<char> bytes = lay_out(checkpoint, path, digest);
  check_contents(bytes, path, checkpoint, digest);
  append_seal(bytes);
  return bytes;
}

}  // namespace

void save(const Checkpoint& checkpoint, const std::string& path) {
  const std::vector<char> bytes = sealed(checkpoint, path);
  write_file_atomic(path, std::string_view(bytes.data(), bytes.size()),
                    [&path](const std::string& temporary) { check_written(temporary, path); });
}

void save(const Checkpoint& checkpoint, const Output& output) {
  if (output.is_file()) return save(checkpoint, output.path());
  output.write(sealed(checkpoint, output.path()));
}

}  // namespace sluice
