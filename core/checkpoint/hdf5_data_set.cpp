// Reading data sets.
#include <sys/resource.h>

#include <algorithm>
#include <limits>

#include "core/checkpoint/hdf5_detail.hpp"

namespace sluice {

using detail::Hdf5Guard;
using detail::Hdf5Handle;

Hdf5DataSet::Hdf5DataSet(Context context, std::string path, Hdf5Handle handle)
    : Hdf5Object(std::move(context), std::move(path), std::move(handle)) {
  // Each on its own: the library forgets why one failed when the next succeeds.
  const auto described = [this](hid_t part) {
    if (part < 0) fail("read the data set's description");
    return part;
  };
  const Hdf5Handle type(described(H5Dget_type(handle_.id()))), space(described(H5Dget_space(handle_.id())));
  const Hdf5Handle creation(described(H5Dget_create_plist(handle_.id())));
  info_.type = detail::element_type(type.id());
  info_.shape = detail::space_shape(*context_, path_, space.id());
  info_.stored_bytes = static_cast<std::int64_t>(H5Dget_storage_size(handle_.id()));
  if (H5Pget_layout(creation.id()) == H5D_CHUNKED) {
    std::vector<hsize_t> chunk(info_.shape.rank());
    if (H5Pget_chunk(creation.id(), static_cast<int>(chunk.size()), chunk.data()) < 0) fail("read its chunk size");
    info_.chunk.assign(chunk.begin(), chunk.end());
  }
  const int filters = H5Pget_nfilters(creation.id());
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0, config = 0;
    std::size_t values = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(creation.id(), static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config);
    info_.checksum = info_.checksum || filter == H5Z_FILTER_FLETCHER32;
  }
}

void Hdf5DataSet::check_stored() const {
  const Hdf5Guard guard;
  if (!stored_) detail::check_stored(*context_, handle_.id(), where());
  stored_ = true;
}

void Hdf5DataSet::fail_reading() const {
  try {
    detail::check_unchanged(*context_, where());
    fail("read it");
  } catch (const Error& error) {
    const std::string filter = detail::missing_filter(Hdf5Handle(H5Dget_create_plist(handle_.id())).id());
    if (filter.empty() || error.code() == ExitCode::kEnvironment) throw;
    throw Error(context_->code, concat(where(), ": is packed with ", filter,
                                       ", which is not there; put its plug-in where HDF5_PLUGIN_PATH says, or write "
                                       "the file anew with gzip or without compression"));
  }
}

/// What is asked for must fit into what this process may take, or it is the file that asks too much.
void Hdf5DataSet::check_claim(std::int64_t bytes) const {
  rlimit memory{};
  if (::getrlimit(RLIMIT_AS, &memory) != 0 || memory.rlim_cur == RLIM_INFINITY) return;
  const std::int64_t kMebi = 1 << 20, kOther = 512 * kMebi;  // libraries, and what holds the values next
  const std::int64_t most = std::max<std::int64_t>(static_cast<std::int64_t>(memory.rlim_cur) - kOther, 0);
  if (bytes <= most) return;
  throw Error(context_->code, concat(where(), ": its values of ", to_string(info_.shape), " need ", bytes / kMebi,
                                     " MiB, more than the ", most / kMebi, " MiB that reading may take"));
}

std::int64_t Hdf5DataSet::claimed_count(std::size_t element_bytes) const {
  const std::int64_t count = checked_count(element_bytes);
  check_claim(count * static_cast<std::int64_t>(element_bytes));
  return count;
}

std::int64_t Hdf5DataSet::checked_count(std::size_t element_bytes) const {
  check_stored();
  std::int64_t count = 1;
  const std::int64_t limit = std::numeric_limits<std::int64_t>::max() / 2 / static_cast<std::int64_t>(element_bytes);
  for (std::int64_t size : info_.shape.dims()) {
    if (size == 0) return 0;
    if (size < 0 || count > limit / size)
      throw Error(context_->code, concat(where(), ": its shape ", to_string(info_.shape), " has too many elements"));
    count *= size;
  }
  return count;
}

void Hdf5DataSet::read(detail::Number type, const std::vector<std::int64_t>* offset,
                       const std::vector<std::int64_t>* count, void* values) const {
  const Hdf5Guard guard;
  if (!info_.type.is_number())
    throw Error(context_->code, concat(where(), ": holds ", to_string(info_.type), ", expected numbers"));
  if (checked_count(1) == 0) return;
  hid_t memory = H5S_ALL, stored = H5S_ALL;
  Hdf5Handle memory_space, stored_space;
  if (offset != nullptr) {
    if (offset->size() != info_.shape.rank() || count->size() != info_.shape.rank())
      throw Error(ExitCode::kInternal,
                  concat(where(), ": a box of rank ", offset->size(), " was asked of shape ", to_string(info_.shape)));
    const std::vector<hsize_t> start(offset->begin(), offset->end()), size(count->begin(), count->end());
    stored_space = Hdf5Handle(H5Dget_space(handle_.id()));
    memory_space = Hdf5Handle(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr));
    memory = memory_space.id();
    stored = stored_space.id();
    if (!size.empty() && H5Sselect_hyperslab(stored, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr) < 0)
      fail("select a part of it");
  }
  if (H5Dread(handle_.id(), detail::native_type(type), memory, stored, H5P_DEFAULT, values) < 0) fail_reading();
  detail::check_unchanged(*context_, where());
}

std::vector<std::string> Hdf5DataSet::read_text() const {
  const Hdf5Guard guard;
  if (info_.type.kind != ElementType::Kind::kText)
    throw Error(context_->code, concat(where(), ": holds ", to_string(info_.type), ", expected text"));
  const Hdf5Handle type(H5Dget_type(handle_.id())), space(H5Dget_space(handle_.id()));
  std::vector<std::string> texts;
  const auto read = [&](hid_t memory_type, void* buffer) {
    return H5Dread(handle_.id(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer);
  };
  const std::int64_t count = claimed_count(static_cast<std::size_t>(info_.type.bytes));
  if (!detail::read_texts(type.id(), space.id(), count, texts, read)) fail_reading();
  detail::check_unchanged(*context_, where());
  return texts;
}

void Hdf5DataSet::read_table(std::vector<std::string>& columns, std::vector<double>& values) const {
  const Hdf5Guard guard;
  const Hdf5Handle type(H5Dget_type(handle_.id()));
  const int members = H5Tget_class(type.id()) == H5T_COMPOUND ? H5Tget_nmembers(type.id()) : 0;
  if (members <= 0 || info_.shape.rank() != 1) throw Error(context_->code, where() + ": is no table of named columns");
  const std::size_t n = static_cast<std::size_t>(members);
  const Hdf5Handle record(H5Tcreate(H5T_COMPOUND, n * sizeof(double)));
  columns.clear();
  for (unsigned i = 0; i < n; ++i) {
    char* name = H5Tget_member_name(type.id(), i);
    if (name == nullptr) fail("read the name of a column");
    columns.emplace_back(name);
    H5free_memory(name);
    if (H5Tinsert(record.id(), columns.back().c_str(), i * sizeof(double), H5T_NATIVE_DOUBLE) < 0)
      fail("read column '" + columns.back() + "'");
  }
  values.assign(static_cast<std::size_t>(claimed_count(n * sizeof(double))) * n, 0.0);
  if (!values.empty() && H5Dread(handle_.id(), record.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0)
    fail_reading();
  detail::check_unchanged(*context_, where());
}

}  // namespace sluice
