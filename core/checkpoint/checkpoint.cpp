// The document: look-ups and the content digest.
#include "core/checkpoint/checkpoint.hpp"

#include "core/base/digest.hpp"
#include "core/base/error.hpp"

namespace sluice {
namespace {

/// Feeds a digest with fields that cannot run into each other: numbers have 8 bytes, texts and lists are led by their
/// length.
class Fields {
 public:
  void add(std::int64_t value) { digest_.update(&value, sizeof(value)); }
  void add(double value) { digest_.update(&value, sizeof(value)); }
  void add(const std::string& text) {
    add(static_cast<std::int64_t>(text.size()));
    digest_.update(text.data(), static_cast<std::int64_t>(text.size()));
  }
  void add(const std::vector<float>& values) {
    add(static_cast<std::int64_t>(values.size()));
    digest_.update(values.data(), static_cast<std::int64_t>(values.size() * sizeof(float)));
  }
  template <class T>
  void add(const std::vector<T>& values) {
    add(static_cast<std::int64_t>(values.size()));
    for (const T& value : values) add(value);
  }
  template <class... T>
  void add(const std::variant<T...>& value) {
    add(static_cast<std::int64_t>(value.index()));
    std::visit([this](const auto& held) { add(held); }, value);
  }
  template <class T>
  void add(const std::map<std::string, T>& values) {
    add(static_cast<std::int64_t>(values.size()));
    for (const auto& [name, value] : values) {
      add(name);
      add(value);
    }
  }
  void add(const CheckpointTensor& tensor) {
    add(tensor.path);
    add(tensor.shape.dims());
    add(tensor.values);
    add(tensor.alias_of);
  }
  void add(const std::optional<SetDescription>& set) {
    add(std::int64_t{set.has_value()});
    if (!set) return;
    for (std::int64_t value : {set->images, set->shape.channels, set->shape.height, set->shape.width}) add(value);
    add(set->images_digest);
    add(set->labels_digest);
  }
  void add(const DataDescription& data) {
    add(data.training);
    for (std::int64_t value : {data.held_out.images, data.held_out.seed, data.held_out.drawn_from}) add(value);
    add(data.test);
  }
  void add(const CheckpointCost& cost) {
    for (std::int64_t value : {cost.macs, cost.weight_bits, cost.activation_bits, std::int64_t{cost.refines}})
      add(value);
    add(cost.open);
    add(cost.total);
  }
  std::string hex() const { return digest_.hex(); }

 private:
  Digest digest_;
};

}  // namespace

bool CheckpointCost::operator==(const CheckpointCost& other) const {
  return macs == other.macs && weight_bits == other.weight_bits && activation_bits == other.activation_bits &&
         refines == other.refines && open == other.open && total == other.total;
}

std::string to_string(Checkpoint::Kind kind) {
  switch (kind) {
    case Checkpoint::Kind::kFull:
      return "full";
    case Checkpoint::Kind::kWeightsOnly:
      return "weights_only";
    case Checkpoint::Kind::kDeployable:
      return "deployable";
  }
  return "unknown";
}

const CheckpointTensor* Checkpoint::find(const std::string& path) const {
  for (const CheckpointTensor& tensor : tensors) {
    if (tensor.path == path) return &tensor;
  }
  return nullptr;
}

const CheckpointTensor& Checkpoint::values_of(const CheckpointTensor& tensor) const {
  if (tensor.alias_of.empty()) return tensor;
  const CheckpointTensor* owner = find(tensor.alias_of);
  if (owner == nullptr || !owner->alias_of.empty())
    throw Error(ExitCode::kInternal, concat("tensor ", tensor.path, " shares the values of ", tensor.alias_of,
                                            ", which has none of its own"));
  return *owner;
}

std::string content_digest(const Checkpoint& checkpoint, int minor) {
  Fields fields;
  fields.add(to_string(checkpoint.kind));
  fields.add(checkpoint.tensors);
  fields.add(checkpoint.state);
  fields.add(checkpoint.history.columns);
  fields.add(checkpoint.history.rows);
  fields.add(checkpoint.config);
  fields.add(checkpoint.mean);
  fields.add(checkpoint.std);
  fields.add(checkpoint.class_names);
  fields.add(checkpoint.layer_names);
  fields.add(checkpoint.statistics);
  if (minor >= 1) {
    fields.add(checkpoint.evaluation);
    fields.add(checkpoint.costs);
  }
  if (minor >= 2) fields.add(checkpoint.plan);
  if (minor >= 3) fields.add(checkpoint.ranges);
  if (minor >= 4) fields.add(checkpoint.data);
  return fields.hex();
}

}  // namespace sluice
