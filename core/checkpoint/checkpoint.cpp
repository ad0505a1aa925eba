// The document: look-ups and the content digest.
#include "core/checkpoint/checkpoint.hpp"

#include "core/base/digest.hpp"
#include "core/base/error.hpp"
#include "core/checkpoint/checkpoint_fields.hpp"

namespace sluice {
namespace {

/// A digest that fields are written to.
struct DigestSink {
  Digest digest;
  void write(const void* bytes, std::int64_t count) { digest.update(bytes, count); }
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
  DigestSink sink;
  FieldWriter<DigestSink> fields(sink);
  fields.add(to_string(checkpoint.kind));
  describe_contents(fields, checkpoint, minor);
  return sink.digest.hex();
}

}  // namespace sluice
