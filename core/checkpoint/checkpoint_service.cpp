// Loading checkpoints through a reader: both sides.
#include <map>
#include <utility>

#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/checkpoint_fields.hpp"
#include "core/checkpoint/checkpoint_read.hpp"
#include "core/checkpoint/reader_services.hpp"
#include "core/checkpoint/stored_checkpoint.hpp"
#include "core/checkpoint/tree.hpp"
#include "core/reader/reader_process.hpp"

namespace sluice {
namespace {

/// What a reader is asked for. kStored: like kWithoutValues, but the file's values are checked, and kept.
enum class Asked { kAll, kWithoutValues, kEdited, kStored };

/// First a whole document; then, where it was kStored, the values of one tensor after another, by its path.
class CheckpointService : public ReaderService {
 public:
  Answer answer(Channel& request) override {
    const auto path = request.get<std::string>();
    if (stored_) return [&values = values_[path]](Channel& channel) { channel.send(values); };
    const auto asked = request.get<Asked>();
    auto checkpoint = std::make_shared<Checkpoint>(
        asked == Asked::kEdited ? read_edited_file(path) : read_checkpoint_file(path, asked != Asked::kWithoutValues));
    stored_ = asked == Asked::kStored;
    for (CheckpointTensor& tensor : checkpoint->tensors) {
      if (stored_ && tensor.alias_of.empty()) values_[tensor.path] = std::exchange(tensor.values, {});
    }
    return [checkpoint](Channel& channel) {
      FieldWriter<Channel> fields(channel);
      fields.add(checkpoint->kind);
      describe_contents(fields, *checkpoint, kCheckpointMinor);
      fields.add(checkpoint->run);
      fields.add(checkpoint->minor);
    };
  }

 private:
  bool stored_ = false;
  std::map<std::string, std::vector<float>> values_;
};

/// What the code that uses a document relies on, in case the reader was taken over by the file.
bool is_sound(const Checkpoint& checkpoint, bool values) {
  std::map<std::string, const CheckpointTensor*> owners;
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    if (!tensor.alias_of.empty()) {
      const auto owner = owners.find(tensor.alias_of);
      if (owner == owners.end() || owner->second->shape != tensor.shape || !tensor.values.empty()) return false;
      continue;
    }
    const auto count = static_cast<std::int64_t>(tensor.values.size());
    if (count != (values ? element_count(tensor.shape) : 0)) return false;
    owners.emplace(tensor.path, &tensor);
  }
  for (const auto& row : checkpoint.history.rows) {
    if (row.size() != checkpoint.history.columns.size()) return false;
  }
  return checkpoint.kind >= Checkpoint::Kind::kFull && checkpoint.kind <= Checkpoint::Kind::kDeployable;
}

}  // namespace

std::unique_ptr<ReaderService> make_checkpoint_service(int) {
  return std::make_unique<CheckpointService>();
}

namespace {

Checkpoint ask_for(const std::string& path, Asked asked, ReaderProcess& reader) {
  reader.ask(path, asked);
  reader.wait();
  Checkpoint checkpoint;
  FieldReader<Channel> fields = reader.fields();
  fields.add(checkpoint.kind);
  describe_contents(fields, checkpoint, kCheckpointMinor);
  fields.add(checkpoint.run);
  fields.add(checkpoint.minor);
  checkpoint.file = path;
  if (!is_sound(checkpoint, asked == Asked::kAll || asked == Asked::kEdited)) reader.reject();
  return checkpoint;
}

Checkpoint load_through_reader(const std::string& path, Asked asked) {
  return read_safely(path, ExitCode::kCheckpoint, [&path, asked] {
    ReaderProcess reader("checkpoint", limits_for(path));
    return ask_for(path, asked, reader);
  });
}

}  // namespace

Checkpoint load(const std::string& path) {
  return load_through_reader(path, Asked::kAll);
}

Checkpoint load_without_values(const std::string& path) {
  return load_through_reader(path, Asked::kWithoutValues);
}

Checkpoint load_edited(const std::string& path) {
  return load_through_reader(path, Asked::kEdited);
}

StoredCheckpoint::StoredCheckpoint(const std::string& path)
    : reader_("checkpoint", limits_for(path)),
      document_(read_safely(path, ExitCode::kCheckpoint, [&] { return ask_for(path, Asked::kStored, reader_); })) {}

void StoredCheckpoint::read(const CheckpointTensor& tensor, float* values) {
  read_safely(document_.file, ExitCode::kCheckpoint, [&] {
    reader_.ask(tensor.alias_of.empty() ? tensor.path : tensor.alias_of);
    reader_.wait();
    const std::int64_t count = tensor.shape.count();
    if (reader_.get<std::int64_t>() != count) reader_.reject();
    reader_.read(values, count * static_cast<std::int64_t>(sizeof(float)));
  });
}

}  // namespace sluice
