#include "core/checkpoint/hdf5_new_file.hpp"

#include <algorithm>

#include "core/checkpoint/hdf5_detail.hpp"

namespace sluice {

using detail::Hdf5Guard;
using detail::Hdf5Handle;
using detail::must;

namespace {

std::shared_ptr<detail::Hdf5Context> create(const std::string& path, const std::string& name, ExitCode code) {
  const Hdf5Guard guard;
  auto context = std::make_shared<detail::Hdf5Context>();
  context->file = name;
  context->code = code;
  const Hdf5Handle access = detail::file_access(), creation(must(H5Pcreate(H5P_FILE_CREATE)));
  must(H5Pset_fclose_degree(access.id(), H5F_CLOSE_SEMI));
  must(H5Pset_libver_bounds(access.id(), H5F_LIBVER_V18, H5F_LIBVER_V18));
  must(H5Pset_obj_track_times(creation.id(), false));
  must(H5Pset_userblock(creation.id(), 512));
  context->handle = Hdf5Handle(H5Fcreate(path.c_str(), H5F_ACC_EXCL, creation.id(), access.id()));
  if (context->handle.id() < 0) detail::hdf5_fail(*context, "", "create an HDF5 file");
  detail::prepare_access(*context);
  return context;
}

}  // namespace

Hdf5NewBytes::Hdf5NewBytes(Context context, std::string path, Hdf5Handle handle, const Shape& shape,
                           std::int64_t chunk_rows)
    : Hdf5Object(std::move(context), std::move(path), std::move(handle)),
      shape_(shape.dims()),
      chunk_rows_(chunk_rows) {}

void Hdf5NewBytes::append(const std::uint8_t* values, std::int64_t rows) {
  const Hdf5Guard guard;
  std::vector<hsize_t> start(shape_.size(), 0), count(shape_.begin(), shape_.end());
  start[0] = static_cast<hsize_t>(next_);
  count[0] = static_cast<hsize_t>(rows);
  const Hdf5Handle stored(H5Dget_space(handle_.id())),
      memory(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr));
  if (H5Sselect_hyperslab(stored.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0 ||
      H5Dwrite(handle_.id(), H5T_NATIVE_UINT8, memory.id(), stored.id(), H5P_DEFAULT, values) < 0)
    fail("write a part of it");
  next_ += rows;
}

void Hdf5NewBytes::complete() {
  if (!handle_.close()) fail("complete it");
}

Hdf5NewFile::Hdf5NewFile(const std::string& path, const std::string& name, ExitCode code)
    : Hdf5NewFile(create(path, name, code)) {}

Hdf5NewFile::Hdf5NewFile(Context context) : Hdf5Group(context, "/", {}) {
  const Hdf5Guard guard;
  handle_ = Hdf5Handle(H5Gopen2(context->handle.id(), "/", context->group_access.id()));
  if (handle_.id() < 0) fail("open the root group");
}

Hdf5NewBytes Hdf5NewFile::create_bytes(const std::string& name, const Shape& shape) {
  const Hdf5Guard guard;
  const std::int64_t rows = detail::rows_of_chunk(shape, 1);
  const std::vector<hsize_t> dims(shape.dims().begin(), shape.dims().end());
  std::vector<hsize_t> chunk = dims;
  chunk[0] = static_cast<hsize_t>(rows);
  const Hdf5Handle creation(must(H5Pcreate(H5P_DATASET_CREATE))),
      space(must(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr)));
  must(H5Pset_obj_track_times(creation.id(), false));
  must(H5Pset_fill_time(creation.id(), H5D_FILL_TIME_NEVER));
  must(H5Pset_chunk(creation.id(), static_cast<int>(chunk.size()), chunk.data()));
  must(H5Pset_fletcher32(creation.id()));
  Hdf5Handle data_set(
      H5Dcreate2(handle_.id(), name.c_str(), H5T_NATIVE_UINT8, space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT));
  if (data_set.id() < 0) fail("create data set '" + name + "'");
  return Hdf5NewBytes(context_, below(name), std::move(data_set), shape, rows);
}

void Hdf5NewFile::complete() {
  const Hdf5Guard guard;
  handle_.close();
  if (H5Fclose(context_->handle.id()) < 0) fail("complete the file");
  context_->handle.forget();
}

}  // namespace sluice
