// Reading tensors of other programs through a reader: both sides.
#include <optional>

#include "core/checkpoint/checkpoint_fields.hpp"
#include "core/checkpoint/foreign_file.hpp"
#include "core/checkpoint/reader_services.hpp"

namespace sluice {

template <class Fields, class DataSet>
auto describe_fields(Fields& fields, DataSet& data_set) -> decltype(fields.add(data_set.info.type.other)) {
  fields.add(data_set.path);
  fields.add(data_set.info.type.kind);
  fields.add(data_set.info.type.bytes);
  fields.add(data_set.info.type.other);
  fields.add(data_set.info.shape);
  fields.add(data_set.alias_of);
}

namespace {

std::string without_outer_slashes(std::string path) {
  path.erase(0, path.find_first_not_of('/'));
  path.erase(path.find_last_not_of('/') + 1);
  return path;
}

/// First the name of the file and its group, then of one data set after another.
class TensorService : public ReaderService {
 public:
  Answer answer(Channel& request) override {
    const auto name = request.get<std::string>();
    if (!file_) return open(name, request.get<std::string>());
    const Hdf5DataSet data_set = (below_ ? *below_ : *file_).data_set(name);
    return [values = data_set.read<float>()](Channel& channel) { channel.send(values); };
  }

 private:
  Answer open(const std::string& name, const std::string& group) {
    file_.emplace(Hdf5File::open(name, ExitCode::kCheckpoint));
    const std::string path = without_outer_slashes(group);
    if (!path.empty()) below_.emplace(file_->group(path));
    const Hdf5Group& found = below_ ? *below_ : *file_;
    return [where = found.where(), path = found.path(), tree = read_tree(found)](Channel& channel) {
      channel.send(where, path, tree.data_sets, tree.problems);
    };
  }

  std::optional<Hdf5File> file_;
  std::optional<Hdf5Group> below_;
};

}  // namespace

std::unique_ptr<ReaderService> make_tensor_service(int) {
  return std::make_unique<TensorService>();
}

ForeignFile::ForeignFile(const std::string& file, const std::string& group)
    : file_(file), reader_("tensors", limits_for(file)) {
  read_safely(file_, ExitCode::kCheckpoint, [&] {
    reader_.ask(file, group);
    reader_.wait();
    FieldReader<Channel> fields = reader_.fields();
    fields.add(where_);
    fields.add(path_);
    fields.add(tree_.data_sets);
    fields.add(tree_.problems);
  });
}

std::vector<float> ForeignFile::read(const std::string& data_set) {
  return read_safely(file_, ExitCode::kCheckpoint, [&] {
    reader_.ask(data_set);
    reader_.wait();
    return reader_.get<std::vector<float>>();
  });
}

}  // namespace sluice
