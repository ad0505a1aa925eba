// Groups: members, and writing new ones.
#include <algorithm>
#include <limits>

#include "core/checkpoint/hdf5_detail.hpp"

namespace sluice {

using detail::Hdf5Guard;
using detail::Hdf5Handle;
using detail::must;

namespace {

/// How a new data set is stored: chunks of whole rows with checksums, or in the object's header where there is nothing
/// to chunk.
Hdf5Handle storage(const Shape& shape, std::int64_t element_bytes) {
  Hdf5Handle creation(must(H5Pcreate(H5P_DATASET_CREATE)));
  must(H5Pset_obj_track_times(creation.id(), false));
  if (shape.rank() == 0) {
    const std::int64_t kHeaderBytes = 32 << 10;
    if (element_bytes <= kHeaderBytes) must(H5Pset_layout(creation.id(), H5D_COMPACT));
  } else if (shape.count() > 0) {
    std::vector<hsize_t> chunk(shape.dims().begin(), shape.dims().end());
    chunk[0] = static_cast<hsize_t>(detail::rows_of_chunk(shape, element_bytes));
    must(H5Pset_chunk(creation.id(), static_cast<int>(shape.rank()), chunk.data()));
    must(H5Pset_fletcher32(creation.id()));
  }
  return creation;
}

Hdf5Handle space_of(const Shape& shape) {
  if (shape.rank() == 0) return Hdf5Handle(H5Screate(H5S_SCALAR));
  const std::vector<hsize_t> dims(shape.dims().begin(), shape.dims().end());
  return Hdf5Handle(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr));
}

}  // namespace

std::string Hdf5Group::below(const std::string& name) const {
  return name[0] == '/' ? name : (path_ == "/" ? "/" : path_ + "/") + name;
}

std::vector<std::string> Hdf5Group::members() const {
  const Hdf5Guard guard;
  detail::Names names;
  if (H5Literate(handle_.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, &detail::Names::add<H5L_info_t>, &names) < 0 &&
      !names.problem)
    fail("list its members");
  return names.take();
}

Hdf5Group::Kind Hdf5Group::kind(const std::string& name) const {
  const Hdf5Guard guard;
  const hid_t access = context_->link_access.id();
  context_->refusal.clear();
  const auto exists = [&](const std::string& path) {
    const htri_t found = H5Lexists(handle_.id(), path.c_str(), access);
    if (found <= 0 && !context_->refusal.empty()) throw Error(context_->code, context_->refusal);
    if (found < 0) detail::check_memory();
    return found > 0;
  };
  // Each step of a path is looked up on its own: the library reports an absent group on the way as a failure.
  for (std::size_t slash = name.find('/', 1); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    if (!exists(name.substr(0, slash))) return Kind::kAbsent;
  }
  if (!exists(name)) return Kind::kAbsent;
  H5L_info_t link;
  if (H5Lget_info(handle_.id(), name.c_str(), &link, access) < 0) fail("look up '" + name + "'");
  if (link.type == H5L_TYPE_EXTERNAL && context_->others.folder.empty()) return Kind::kOther;
  const htri_t resolved = H5Oexists_by_name(handle_.id(), name.c_str(), access);
  if (resolved < 0 && context_->refusal.empty()) detail::check_memory();
  if (resolved <= 0) return Kind::kOther;
  const Hdf5Handle object(H5Oopen(handle_.id(), name.c_str(), access));
  if (object.id() < 0) fail("open '" + name + "'");
  switch (H5Iget_type(object.id())) {
    case H5I_GROUP:
      return Kind::kGroup;
    case H5I_DATASET:
      return Kind::kDataSet;
    default:
      return Kind::kOther;
  }
}

/// Says what is there instead of what was wanted.
void Hdf5Group::refuse(const std::string& name, Kind found, const std::string& expected) const {
  if (!context_->refusal.empty()) throw Error(context_->code, context_->refusal);
  H5L_info_t link{};
  const bool linked = found == Kind::kOther && H5Lget_info(handle_.id(), name.c_str(), &link, H5P_DEFAULT) >= 0 &&
                      link.type == H5L_TYPE_EXTERNAL;
  // Following it calls the function that refuses.
  if (linked) H5Oexists_by_name(handle_.id(), name.c_str(), context_->link_access.id());
  if (!context_->refusal.empty()) throw Error(context_->code, context_->refusal);
  throw Error(context_->code,
              concat(context_->file, ": ", below(name), found == Kind::kAbsent ? ": is missing" : ": is no " + expected,
                     ", expected a ", expected));
}

Hdf5Group Hdf5Group::group(const std::string& name) const {
  const Hdf5Guard guard;
  const Kind found = kind(name);
  if (found != Kind::kGroup) refuse(name, found, "group");
  Hdf5Handle handle(H5Gopen2(handle_.id(), name.c_str(), context_->group_access.id()));
  if (handle.id() < 0) fail("open group '" + name + "'");
  return Hdf5Group(context_, below(name), std::move(handle));
}

Hdf5DataSet Hdf5Group::data_set(const std::string& name) const {
  const Hdf5Guard guard;
  const Kind found = kind(name);
  if (found != Kind::kDataSet) refuse(name, found, "data set");
  Hdf5Handle handle(H5Dopen2(handle_.id(), name.c_str(), context_->data_set_access.id()));
  if (handle.id() < 0) fail("open data set '" + name + "'");
  return Hdf5DataSet(context_, below(name), std::move(handle));
}

Hdf5Group Hdf5Group::create_group(const std::string& name) {
  const Hdf5Guard guard;
  const Hdf5Handle creation(must(H5Pcreate(H5P_GROUP_CREATE)));
  must(H5Pset_obj_track_times(creation.id(), false));
  Hdf5Handle handle(H5Gcreate2(handle_.id(), name.c_str(), H5P_DEFAULT, creation.id(), H5P_DEFAULT));
  if (handle.id() < 0) fail("create group '" + name + "'");
  return Hdf5Group(context_, below(name), std::move(handle));
}

void Hdf5Group::write(const std::string& name, const Shape& shape, detail::Number type, const void* values) {
  const Hdf5Guard guard;
  write(name, shape, detail::native_type(type), values);
}

void Hdf5Group::write(const std::string& name, const Shape& shape, std::int64_t type, const void* values) {
  write(name, shape, type, storage(shape, static_cast<std::int64_t>(H5Tget_size(type))), values);
}

void Hdf5Group::write_contiguous(const std::string& name, const Shape& shape, const float* values) {
  const Hdf5Guard guard;
  const Hdf5Handle creation(must(H5Pcreate(H5P_DATASET_CREATE)));
  must(H5Pset_obj_track_times(creation.id(), false));
  write(name, shape, H5T_NATIVE_FLOAT, creation, values);
}

void Hdf5Group::write(const std::string& name, const Shape& shape, std::int64_t type, const Hdf5Handle& creation,
                      const void* values) {
  const Hdf5Handle space = space_of(shape);
  Hdf5Handle data_set(
      H5Dcreate2(handle_.id(), name.c_str(), type, space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT));
  if (data_set.id() < 0) fail("create data set '" + name + "'");
  if (shape.count() > 0 && H5Dwrite(data_set.id(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
    fail("write data set '" + name + "'");
  if (!data_set.close()) fail("complete data set '" + name + "'");  // which writes what is still in its cache
}

void Hdf5Group::write_text(const std::string& name, const std::string& text) {
  const Hdf5Guard guard;
  const Hdf5Handle type = detail::text_type(text.size());
  write(name, Shape{}, type.id(), text.c_str());
}

void Hdf5Group::write_text(const std::string& name, const std::vector<std::string>& texts) {
  const Hdf5Guard guard;
  std::size_t length = 1;
  for (const std::string& text : texts) length = std::max(length, text.size());
  std::vector<char> padded(length * texts.size(), '\0');
  for (std::size_t i = 0; i < texts.size(); ++i)
    std::copy(texts[i].begin(), texts[i].end(), padded.begin() + static_cast<std::ptrdiff_t>(i * length));
  const Hdf5Handle type = detail::text_type(length);
  write(name, Shape{static_cast<std::int64_t>(texts.size())}, type.id(), padded.data());
}

void Hdf5Group::write_table(const std::string& name, const std::vector<std::string>& columns,
                            const std::vector<double>& values) {
  const Hdf5Guard guard;
  const Hdf5Handle type(must(H5Tcreate(H5T_COMPOUND, columns.size() * sizeof(double))));
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (H5Tinsert(type.id(), columns[i].c_str(), i * sizeof(double), H5T_NATIVE_DOUBLE) < 0)
      fail("write column '" + columns[i] + "' of '" + name + "'");
  }
  write(name, Shape{static_cast<std::int64_t>(values.size() / columns.size())}, type.id(), values.data());
}

void Hdf5Group::link(const std::string& name, const std::string& target) {
  const Hdf5Guard guard;
  if (H5Lcreate_hard(handle_.id(), target.c_str(), handle_.id(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT) < 0)
    fail("link '" + name + "' to " + target);
}

}  // namespace sluice
