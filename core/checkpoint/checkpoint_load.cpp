// Reading checkpoints, from bytes whose seal was checked. A member that is missing or of the wrong type is named.
#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/checkpoint_read.hpp"
#include "core/checkpoint/hdf5.hpp"
#include "core/checkpoint/per_cent.hpp"
#include "core/checkpoint/seal.hpp"

namespace sluice {
namespace {

constexpr std::int64_t kMostMacs = std::int64_t{1} << 48, kMostBits = 64;

[[noreturn]] void refuse(const std::string& where, const std::string& text) {
  throw Error(ExitCode::kCheckpoint, where + ": " + text);
}

/// A data set that may be read whole: the format stores every element, so nothing larger than the file can be asked
/// for.
Hdf5DataSet plain(const Hdf5Group& group, const std::string& name) {
  Hdf5DataSet data_set = group.data_set(name);
  std::int64_t bytes_each = data_set.info().stored_bytes;
  bool empty = false;
  for (std::int64_t size : data_set.shape().dims()) {
    empty = empty || size == 0;
    bytes_each = size > 0 ? bytes_each / size : bytes_each;
  }
  if (!empty && bytes_each < data_set.info().type.bytes)
    refuse(data_set.where(), concat("claims shape ", to_string(data_set.shape()), " but stores ",
                                    data_set.info().stored_bytes, " bytes"));
  return data_set;
}

std::string read_one_text(const Hdf5Group& group, const std::string& name) {
  const Hdf5DataSet data_set = plain(group, name);
  const std::vector<std::string> texts = data_set.read_text();
  if (texts.size() != 1) refuse(data_set.where(), concat("holds ", texts.size(), " texts, expected 1"));
  return texts.front();
}

/// The minor version.
int check_version(const Hdf5File& file) {
  const std::string version = read_one_text(file, "format_version");
  const std::size_t dot = version.find('.');
  int major = -1, minor = -1;
  try {
    major = std::stoi(version.substr(0, dot));
    minor = std::stoi(version.substr(std::min(dot, version.size() - 1) + 1));
  } catch (const std::exception&) {
  }
  if (major < 1 || minor < 0)
    refuse(file.where() + "format_version", "holds '" + version + "', expected for example 1.0");
  if (major > kCheckpointMajor)
    refuse(file.where() + "format_version",
           concat("the file has format ", version, ", this Sluice reads formats up to ", kCheckpointMajor,
                  ".x; use a newer Sluice"));
  return minor;
}

Checkpoint::Kind read_kind(const Hdf5File& file) {
  const std::string text = read_one_text(file, "kind");
  for (auto kind : {Checkpoint::Kind::kFull, Checkpoint::Kind::kWeightsOnly, Checkpoint::Kind::kDeployable}) {
    if (to_string(kind) == text) return kind;
  }
  refuse(file.where() + "kind", "holds '" + text + "', expected full, weights_only or deployable");
}

void read_tensors(const Hdf5File& file, bool values, Checkpoint& checkpoint) {
  std::map<std::string, std::string> owners;  // identity -> path of its first user
  for (const std::string& path : plain(file, "tensor_names").read_text()) {
    const Hdf5DataSet data_set = plain(file, path);
    if (to_string(data_set.info().type) != "float32")
      refuse(data_set.where(), "holds " + to_string(data_set.info().type) + ", expected float32");
    CheckpointTensor tensor;
    tensor.path = path;
    tensor.shape = data_set.shape();
    const auto [owner, first] = owners.emplace(data_set.identity(), path);
    if (!first) tensor.alias_of = owner->second;
    if (first && values) tensor.values = data_set.read<float>();
    checkpoint.tensors.push_back(std::move(tensor));
  }
}

StateValue read_value(const Hdf5Group& group, const std::string& name) {
  const Hdf5DataSet data_set = plain(group, name);
  if (data_set.shape().count() != 1)
    refuse(data_set.where(), "holds " + to_string(data_set.shape()) + ", expected one value");
  switch (data_set.info().type.kind) {
    case ElementType::Kind::kText:
      return data_set.read_text().at(0);
    case ElementType::Kind::kFloat:
      return data_set.read<double>().at(0);
    case ElementType::Kind::kSigned:
    case ElementType::Kind::kUnsigned:
      return data_set.read<std::int64_t>().at(0);
    default:
      refuse(data_set.where(), "holds neither a number nor text");
  }
}

template <class T>
T one_number(const Hdf5Group& group, const std::string& name) {
  const std::vector<T> values = group.attribute<T>(name);
  if (values.size() != 1)
    refuse(group.where(), concat("attribute ", name, " holds ", values.size(), " values, expected 1"));
  return values.front();
}

void read_statistics(const Hdf5Group& statistics, StatisticTable& table) {
  for (const std::string& layer : statistics.members()) {
    const Hdf5Group group = statistics.group(layer);
    auto& values = table[layer];
    for (const std::string& name : group.attributes()) {
      const ElementType type = group.attribute_type(name);
      if (type.kind == ElementType::Kind::kFloat)
        values[name] = one_number<double>(group, name);
      else
        values[name] = one_number<std::int64_t>(group, name);
    }
  }
}

/// An integer attribute that cannot make sums and products of costs overflow.
std::int64_t cost_attribute(const Hdf5Group& group, const std::string& name, std::int64_t most) {
  const auto value = one_number<std::int64_t>(group, name);
  if (value < 0 || value > most)
    refuse(group.where(), concat("attribute ", name, " is ", value, ", expected 0 to ", most));
  return value;
}

std::string text_or_none(const Hdf5Group& group, const std::string& name) {
  if (!group.has_attribute(name)) return "";
  const std::vector<std::string> texts = group.text_attribute(name);
  return texts.empty() ? "" : texts.front();
}

void read_costs(const Hdf5Group& costs, Checkpoint& checkpoint) {
  for (const std::string& layer : costs.members()) {
    const Hdf5Group of_layer = costs.group(layer);
    std::vector<CheckpointCost>& terms = checkpoint.costs[layer];
    const std::size_t count = of_layer.members().size();
    for (std::size_t i = 0; i < count; ++i) {
      const Hdf5Group group = of_layer.group(std::to_string(i));
      CheckpointCost term{cost_attribute(group, "macs", kMostMacs),
                          cost_attribute(group, "weight_bits", kMostBits),
                          cost_attribute(group, "activation_bits", kMostBits),
                          cost_attribute(group, "refines", 1) != 0,
                          text_or_none(group, "open"),
                          text_or_none(group, "total")};
      terms.push_back(std::move(term));
    }
  }
}

void read_history(const Hdf5File& file, HistoryTable& history) {
  if (!file.has_data_set("history")) return;
  std::vector<double> values;
  plain(file, "history").read_table(history.columns, values);
  const auto width = static_cast<std::ptrdiff_t>(history.columns.size());
  for (auto row = values.begin(); row != values.end(); row += width) history.rows.emplace_back(row, row + width);
}

void read_ranges(const Hdf5Group& group, std::map<std::string, double>& ranges) {
  for (const std::string& layer : group.members()) {
    const std::vector<double> values = plain(group, layer).read<double>();
    if (values.size() != 1 || !(values[0] >= 0) || std::isinf(values[0]))
      refuse(group.where() + layer, "expected one finite number of at least 0");
    ranges[layer] = values[0];
  }
}

std::int64_t count_attribute(const Hdf5Group& group, const std::string& name, std::int64_t least) {
  const auto value = one_number<std::int64_t>(group, name);
  if (value < least) refuse(group.where(), concat("attribute ", name, " is ", value, ", expected at least ", least));
  return value;
}

SetDescription read_set(const Hdf5Group& group) {
  SetDescription set;
  set.images = count_attribute(group, "images", 1);
  set.shape = {count_attribute(group, "channels", 1), count_attribute(group, "height", 1),
               count_attribute(group, "width", 1)};
  set.images_digest = text_or_none(group, "images_digest");
  set.labels_digest = text_or_none(group, "labels_digest");
  return set;
}

void read_data(const Hdf5Group& sets, DataDescription& data) {
  if (sets.kind("training") == Hdf5Group::Kind::kGroup) {
    const Hdf5Group training = sets.group("training");
    data.training = read_set(training);
    data.held_out = {count_attribute(training, "held_out", 0), count_attribute(training, "held_out_seed", 0),
                     count_attribute(training, "held_out_from", 1)};
  }
  if (sets.kind("test") == Hdf5Group::Kind::kGroup) data.test = read_set(sets.group("test"));
}

}  // namespace

Checkpoint read_checkpoint(const Hdf5File& file, const std::string& name, bool values) {
  Checkpoint checkpoint;
  checkpoint.minor = check_version(file);
  checkpoint.file = name;
  checkpoint.kind = read_kind(file);
  read_tensors(file, values, checkpoint);
  const Hdf5Group state = file.group("state"), run = file.group("run");
  for (const std::string& member : state.members()) checkpoint.state[member] = read_value(state, member);
  for (const std::string& member : run.members()) checkpoint.run[member] = read_one_text(run, member);
  read_history(file, checkpoint.history);
  checkpoint.config = read_one_text(file, "config");
  const Hdf5Group normalisation = file.group("normalisation");
  checkpoint.mean = plain(normalisation, "mean").read<double>();
  checkpoint.std = plain(normalisation, "std").read<double>();
  checkpoint.class_names = plain(file, "class_names").read_text();
  checkpoint.layer_names = plain(file, "layer_names").read_text();
  read_statistics(file.group("statistics"), checkpoint.statistics);
  // Since format 1.1.
  if (file.kind("evaluation") == Hdf5Group::Kind::kGroup)
    read_statistics(file.group("evaluation"), checkpoint.evaluation);
  if (file.kind("costs") == Hdf5Group::Kind::kGroup) read_costs(file.group("costs"), checkpoint);
  if (file.kind("plan") == Hdf5Group::Kind::kGroup) {  // since format 1.2
    const Hdf5Group plan = file.group("plan");
    for (const std::string& layer : plan.members()) checkpoint.kernels[layer] = read_one_text(plan, layer);
  }
  // Since format 1.3.
  if (file.kind("ranges") == Hdf5Group::Kind::kGroup) read_ranges(file.group("ranges"), checkpoint.ranges);
  // Since format 1.4.
  if (file.kind("data") == Hdf5Group::Kind::kGroup) read_data(file.group("data"), checkpoint.data);
  return checkpoint;
}

void check_content(const Hdf5File& file, const Checkpoint& checkpoint) {
  // A newer minor version may hold members that this reader skipped.
  if (checkpoint.minor > kCheckpointMinor) return;
  const std::string stored = read_one_text(file, "content_digest"),
                    found = content_digest(checkpoint, checkpoint.minor);
  if (stored != found)
    refuse(file.where() + "content_digest", concat("the contents have digest ", found, ", the file says ", stored));
}

Checkpoint read_checkpoint_file(const std::string& path, bool values) {
  const Hdf5File file = Hdf5File::open_image(read_sealed(path), path, ExitCode::kCheckpoint);
  Checkpoint checkpoint = read_checkpoint(file, path, values);
  if (values) check_content(file, checkpoint);
  make_shares(checkpoint);
  return checkpoint;
}

Checkpoint read_edited_file(const std::string& path) {
  Checkpoint checkpoint = read_checkpoint(Hdf5File::open(path, ExitCode::kCheckpoint), path);
  make_shares(checkpoint);
  return checkpoint;
}

}  // namespace sluice
