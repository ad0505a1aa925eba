// Walks HDF5 files that nobody has checked: cycles, broken objects and absurd shapes are expected.
#include "core/checkpoint/tree.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "core/base/error.hpp"

namespace sluice {
namespace {

constexpr std::size_t kMaxDepth = 100;

std::string printed(const Hdf5Object& object, const std::string& attribute) {
  try {
    const ElementType type = object.attribute_type(attribute);
    std::string text;
    const std::size_t kMost = 16;
    if (type.kind == ElementType::Kind::kText) {
      for (const std::string& item : object.text_attribute(attribute)) text += (text.empty() ? "" : ", ") + item;
    } else if (type.is_number()) {
      const std::vector<double> values = object.attribute<double>(attribute);
      for (std::size_t i = 0; i < std::min(values.size(), kMost); ++i) text += concat(i == 0 ? "" : " ", values[i]);
      if (values.size() > kMost) text += concat(" ... (", values.size(), ")");
    } else {
      text = "(" + to_string(type) + ")";
    }
    const std::size_t kLongest = 200;
    return text.size() > kLongest ? text.substr(0, kLongest) + "..." : text;
  } catch (const Error& error) {
    if (error.code() == ExitCode::kEnvironment) throw;  // the file may be whole
    return concat("(", error.what(), ")");
  }
}

class Walk {
 public:
  explicit Walk(FileTree& tree) : tree_(tree) {}

  void visit(const Hdf5Group& group, const std::string& path, std::size_t depth) {
    if (!groups_.insert(group.identity()).second) return;
    TreeGroup entry{path, {}};
    for (const std::string& name : group.attributes()) entry.attributes.emplace_back(name, printed(group, name));
    tree_.groups.push_back(std::move(entry));
    for (const std::string& name : group.members()) {
      const std::string below = path.empty() ? name : path + "/" + name;
      try {
        visit_member(group, name, below, depth);
      } catch (const Error& error) {
        if (error.code() == ExitCode::kEnvironment) throw;
        tree_.problems.push_back(error.what());
      }
    }
  }

 private:
  void visit_member(const Hdf5Group& group, const std::string& name, const std::string& path, std::size_t depth) {
    switch (group.kind(name)) {
      case Hdf5Group::Kind::kGroup:
        if (depth == kMaxDepth) throw Error(ExitCode::kCheckpoint, "/" + path + ": groups are nested too deeply");
        visit(group.group(name), path, depth + 1);
        break;
      case Hdf5Group::Kind::kDataSet: {
        const Hdf5DataSet data_set = group.data_set(name);
        const auto [owner, first] = data_sets_.emplace(data_set.identity(), path);
        tree_.data_sets.push_back({path, data_set.info(), first ? "" : owner->second});
        break;
      }
      default:
        throw Error(
            ExitCode::kCheckpoint,
            "/" + path + ": is neither group nor data set (a named type, or a link to nowhere or another file)");
    }
  }

  FileTree& tree_;
  std::set<std::string> groups_;
  std::map<std::string, std::string> data_sets_;
};

/// How many rows (along the first axis) make a block: about a million elements, whole chunks.
std::int64_t rows_of_block(const Hdf5DataSet& data_set) {
  const Shape& shape = data_set.shape();
  const std::int64_t kElements = 1 << 20;
  const std::int64_t row = std::max<std::int64_t>(element_count(shape) / shape[0], 1);
  const std::int64_t chunk = data_set.info().chunk.empty() ? 1 : data_set.info().chunk[0];
  const std::int64_t rows = std::max<std::int64_t>(kElements / row, 1);
  return std::min(shape[0], (rows + chunk - 1) / chunk * chunk);
}

void read_block(const Hdf5DataSet& data_set, std::int64_t row, std::int64_t rows, std::vector<double>& values) {
  const Shape& shape = data_set.shape();
  if (shape.rank() == 0) {
    values = data_set.read<double>();
    return;
  }
  std::vector<std::int64_t> offset(shape.rank(), 0), count = shape.dims();
  offset[0] = row;
  count[0] = rows;
  values.resize(static_cast<std::size_t>(element_count(Shape(count))));
  data_set.read(offset, count, values.data());
}

void check_count(const Hdf5DataSet& data_set) {
  const bool empty = std::count(data_set.shape().dims().begin(), data_set.shape().dims().end(), 0) > 0;
  if (!empty && element_count(data_set.shape()) == 0)
    throw Error(ExitCode::kCheckpoint,
                concat(data_set.where(), ": its shape ", to_string(data_set.shape()), " has too many elements"));
}

}  // namespace

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  for (std::int64_t size : shape.dims()) {
    if (size <= 0 || count > std::numeric_limits<std::int64_t>::max() / 64 / size) return 0;
    count *= size;
  }
  return count;
}

FileTree read_tree(const Hdf5Group& root) {
  FileTree tree;
  Walk(tree).visit(root, "", 0);
  return tree;
}

void for_each_block(const Hdf5DataSet& data_set,
                    const std::function<void(const double* values, std::int64_t count)>& use) {
  for_each_block(data_set, data_set,
                 [&use](const double* values, const double*, std::int64_t count) { use(values, count); });
}

void for_each_block(const Hdf5DataSet& a, const Hdf5DataSet& b,
                    const std::function<void(const double* a, const double* b, std::int64_t count)>& use) {
  check_count(a);
  a.check_stored();
  b.check_stored();
  if (element_count(a.shape()) == 0) return;
  const bool same = &a == &b, scalar = a.shape().rank() == 0;
  const std::int64_t rows = scalar ? 1 : rows_of_block(a), end = scalar ? 1 : a.shape()[0];
  std::vector<double> values_a, values_b;
  for (std::int64_t row = 0; row < end; row += rows) {
    read_block(a, row, std::min(rows, end - row), values_a);
    if (!same) read_block(b, row, std::min(rows, end - row), values_b);
    use(values_a.data(), same ? values_a.data() : values_b.data(), static_cast<std::int64_t>(values_a.size()));
  }
}

}  // namespace sluice
