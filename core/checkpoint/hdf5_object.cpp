// Attributes, and what groups and data sets have in common.
#include "core/checkpoint/hdf5_detail.hpp"

namespace sluice {

using detail::Hdf5Guard;
using detail::Hdf5Handle;

Hdf5Object::Hdf5Object(Context context, std::string path, Hdf5Handle handle)
    : context_(std::move(context)), path_(std::move(path)), handle_(std::move(handle)) {}

void Hdf5Object::fail(const std::string& doing) const {
  detail::hdf5_fail(*context_, path_, doing);
}

std::string Hdf5Object::where() const {
  return context_->file + ": " + path_;
}

std::string Hdf5Object::identity() const {
  const Hdf5Guard guard;
#if H5_VERSION_GE(1, 12, 0)
  H5O_info2_t info;
  if (H5Oget_info3(handle_.id(), &info, H5O_INFO_BASIC) < 0) fail("find the object's address");
  return std::string(reinterpret_cast<const char*>(&info.token), sizeof(info.token));
#else
  H5O_info_t info;
  if (H5Oget_info2(handle_.id(), &info, H5O_INFO_BASIC) < 0) fail("find the object's address");
  return std::to_string(info.addr);
#endif
}

std::vector<std::string> Hdf5Object::attributes() const {
  const Hdf5Guard guard;
  detail::Names names;
  if (H5Aiterate2(handle_.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, &detail::Names::add<H5A_info_t>, &names) < 0 &&
      !names.problem)
    fail("list its attributes");
  return names.take();
}

bool Hdf5Object::has_attribute(const std::string& name) const {
  const Hdf5Guard guard;
  const htri_t exists = H5Aexists(handle_.id(), name.c_str());
  if (exists < 0) fail("look up attribute '" + name + "'");
  return exists > 0;
}

Hdf5Handle Hdf5Object::open_attribute(const std::string& name) const {
  if (!has_attribute(name)) throw Error(context_->code, concat(where(), ": attribute '", name, "' is missing"));
  Hdf5Handle attribute(H5Aopen(handle_.id(), name.c_str(), H5P_DEFAULT));
  if (attribute.id() < 0) fail("open attribute '" + name + "'");
  return attribute;
}

ElementType Hdf5Object::attribute_type(const std::string& name) const {
  const Hdf5Guard guard;
  const Hdf5Handle attribute = open_attribute(name);
  const Hdf5Handle type(H5Aget_type(attribute.id()));
  if (type.id() < 0) fail("read the type of attribute '" + name + "'");
  return detail::element_type(type.id());
}

std::int64_t Hdf5Object::attribute_count(const std::string& name) const {
  const Hdf5Guard guard;
  const Hdf5Handle attribute = open_attribute(name);
  const Hdf5Handle space(H5Aget_space(attribute.id()));
  const hssize_t count = space.id() < 0 ? -1 : H5Sget_simple_extent_npoints(space.id());
  if (count < 0) fail("read the shape of attribute '" + name + "'");
  // An attribute lives in the object's header; a larger count can only come from a damaged file.
  const hssize_t kLimit = 1 << 20;
  if (count > kLimit)
    throw Error(context_->code, concat(where(), ": attribute '", name, "' claims ", count, " elements"));
  return count;
}

void Hdf5Object::read_attribute(const std::string& name, detail::Number type, void* values) const {
  const Hdf5Guard guard;
  const ElementType stored = attribute_type(name);
  if (!stored.is_number())
    throw Error(context_->code,
                concat(where(), ": attribute '", name, "' holds ", to_string(stored), ", expected numbers"));
  const Hdf5Handle attribute = open_attribute(name);
  if (attribute_count(name) > 0 && H5Aread(attribute.id(), detail::native_type(type), values) < 0)
    fail("read attribute '" + name + "'");
}

std::vector<std::string> Hdf5Object::text_attribute(const std::string& name) const {
  const Hdf5Guard guard;
  const ElementType stored = attribute_type(name);
  if (stored.kind != ElementType::Kind::kText)
    throw Error(context_->code,
                concat(where(), ": attribute '", name, "' holds ", to_string(stored), ", expected text"));
  const Hdf5Handle attribute = open_attribute(name);
  const Hdf5Handle type(H5Aget_type(attribute.id())), space(H5Aget_space(attribute.id()));
  std::vector<std::string> texts;
  const auto read = [&](hid_t memory_type, void* buffer) { return H5Aread(attribute.id(), memory_type, buffer); };
  if (!detail::read_texts(type.id(), space.id(), attribute_count(name), texts, read))
    fail("read attribute '" + name + "'");
  return texts;
}

void Hdf5Object::write_attribute(const std::string& name, std::int64_t type, const void* value) {
  const Hdf5Handle space(H5Screate(H5S_SCALAR));
  Hdf5Handle attribute(H5Acreate2(handle_.id(), name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT));
  if (attribute.id() < 0 || H5Awrite(attribute.id(), type, value) < 0 || !attribute.close())
    fail("write attribute '" + name + "'");
}

void Hdf5Object::write_attribute(const std::string& name, const std::string& text) {
  const Hdf5Guard guard;
  const Hdf5Handle type = detail::text_type(text.size());
  write_attribute(name, type.id(), text.c_str());
}

void Hdf5Object::write_attribute(const std::string& name, std::int64_t value) {
  const Hdf5Guard guard;
  write_attribute(name, H5T_NATIVE_INT64, &value);
}

void Hdf5Object::write_attribute(const std::string& name, double value) {
  const Hdf5Guard guard;
  write_attribute(name, H5T_NATIVE_DOUBLE, &value);
}

}  // namespace sluice
