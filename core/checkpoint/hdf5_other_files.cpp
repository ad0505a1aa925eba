// Values that lie in other files: external links, external storage, and the parts of virtual data sets. Each is read
// only where that is allowed, must be there and whole, and must stay what it is.
#include <sys/stat.h>

#include <filesystem>

#include "core/checkpoint/hdf5_detail.hpp"

namespace sluice::detail {

namespace fs = std::filesystem;

namespace {

constexpr int kMostLevels = 8;  // of virtual data sets made of virtual data sets

FileState state_of(const struct stat& status) {
  return {static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino), status.st_size,
          status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

/// Whether a resolved path lies in a folder.
bool lies_in(const fs::path& path, const std::string& folder) {
  std::error_code problem;
  const fs::path top = fs::weakly_canonical(folder.empty() ? "." : folder, problem);
  const auto [in_top, in_path] = std::mismatch(top.begin(), top.end(), path.begin(), path.end());
  return !problem && (in_top == top.end() || (in_top->empty() && std::next(in_top) == top.end()));
}

std::string folder_of(const std::string& file) {
  return fs::path(file).parent_path().string();
}

/// Resolves a name that stands in the file `from`; empty where that file may not be read.
std::string resolve(const OtherFiles& others, const std::string& from, const std::string& name, bool is_part) {
  const fs::path path = name.empty() || name[0] == '/' ? fs::path(name) : fs::path(folder_of(from)) / name;
  std::error_code problem;
  const fs::path resolved = fs::weakly_canonical(path, problem);
  if (problem) return "";
  const bool in_folder = !others.folder.empty() && lies_in(resolved, others.folder);
  const bool beside = is_part && others.parts_beside && lies_in(resolved, folder_of(from));
  return in_folder || beside ? path.string() : "";
}

/// The file that `name` means in the data set's file; it is there, and watched from now on.
std::string other_file(Hdf5Context& context, hid_t data_set, const std::string& name, bool is_part,
                       const std::string& where) {
  std::string from(static_cast<std::size_t>(std::max<ssize_t>(H5Fget_name(data_set, nullptr, 0), 0)), '\0');
  H5Fget_name(data_set, from.data(), from.size() + 1);
  const std::string path = resolve(context.others, from, name, is_part);
  if (path.empty())
    throw Error(context.code, concat(where, ": its values lie in another file, ", name, ", which is not read",
                                     context.others.advice));
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    throw Error(context.code, concat(where, ": its part ", path, " is missing; put it back"));
  if (!S_ISREG(status.st_mode)) throw Error(context.code, concat(where, ": its part ", path, " is no regular file"));
  context.parts.emplace(path, state_of(status));
  return path;
}

/// A box of elements of a virtual data set.
struct Box {
  std::vector<hsize_t> first, last;
};

bool overlap(const Box& a, const Box& b) {
  for (std::size_t axis = 0; axis < a.first.size(); ++axis) {
    if (a.last[axis] < b.first[axis] || b.last[axis] < a.first[axis]) return false;
  }
  return true;
}

/// The boxes of a selection. False where it has no end, or too many.
bool add_boxes(hid_t space, std::vector<Box>& boxes) {
  const auto rank = static_cast<std::size_t>(std::max(H5Sget_simple_extent_ndims(space), 0));
  if (rank == 0) return false;
  Box bounds{std::vector<hsize_t>(rank), std::vector<hsize_t>(rank)};
  if (H5Sget_select_type(space) != H5S_SEL_HYPERSLABS) {
    if (H5Sget_select_bounds(space, bounds.first.data(), bounds.last.data()) < 0) return false;
    boxes.push_back(bounds);
    return H5Sget_select_type(space) == H5S_SEL_ALL;
  }
  const hssize_t count = H5Sget_select_hyper_nblocks(space), kMost = 1 << 18;
  if (count < 0 || count + static_cast<hssize_t>(boxes.size()) > kMost) return false;
  std::vector<hsize_t> corners(static_cast<std::size_t>(count) * rank * 2);
  if (H5Sget_select_hyper_blocklist(space, 0, static_cast<hsize_t>(count), corners.data()) < 0) return false;
  for (auto corner = corners.begin(); corner != corners.end(); corner += static_cast<std::ptrdiff_t>(rank)) {
    const auto middle = corner + static_cast<std::ptrdiff_t>(rank);
    boxes.push_back({{corner, middle}, {middle, middle + static_cast<std::ptrdiff_t>(rank)}});
    corner = middle;
  }
  return true;
}

/// Elements that the boxes cover; nothing where two overlap.
std::optional<hsize_t> covered(std::vector<Box>& boxes) {
  std::sort(boxes.begin(), boxes.end(), [](const Box& a, const Box& b) { return a.first < b.first; });
  hsize_t count = 0;
  std::vector<const Box*> open;  // those that reach as far along the first axis as the one that is looked at
  for (const Box& box : boxes) {
    open.erase(
        std::remove_if(open.begin(), open.end(), [&](const Box* other) { return other->last[0] < box.first[0]; }),
        open.end());
    for (const Box* other : open) {
      if (overlap(*other, box)) return std::nullopt;
    }
    open.push_back(&box);
    hsize_t size = 1;
    for (std::size_t axis = 0; axis < box.first.size(); ++axis) size *= box.last[axis] - box.first[axis] + 1;
    count += size;
  }
  return count;
}

std::string text_of(hid_t creation, std::size_t part, ssize_t (*get)(hid_t, std::size_t, char*, std::size_t)) {
  std::string text(static_cast<std::size_t>(std::max<ssize_t>(get(creation, part, nullptr, 0), 0)), '\0');
  get(creation, part, text.data(), text.size() + 1);
  return text;
}

/// Whether a data set has all that a part takes from it.
bool has_all(hid_t source, hid_t creation, std::size_t part) {
  const Hdf5Handle taken(H5Pget_virtual_srcspace(creation, part)), space(H5Dget_space(source));
  if (H5Sget_select_type(taken.id()) == H5S_SEL_ALL) {
    const Hdf5Handle place(H5Pget_virtual_vspace(creation, part));
    return H5Sget_simple_extent_npoints(space.id()) == H5Sget_select_npoints(place.id());
  }
  const int rank = H5Sget_simple_extent_ndims(space.id());
  std::vector<hsize_t> first(H5S_MAX_RANK), last(H5S_MAX_RANK), dims(H5S_MAX_RANK);
  bool fits = rank == H5Sget_simple_extent_ndims(taken.id()) && rank >= 0 &&
              H5Sget_select_bounds(taken.id(), first.data(), last.data()) >= 0 &&
              H5Sget_simple_extent_dims(space.id(), dims.data(), nullptr) >= 0;
  for (std::size_t axis = 0; fits && axis < static_cast<std::size_t>(rank); ++axis) fits = last[axis] < dims[axis];
  return fits;
}

/// The source of one part: there, as large as the part wants it, and with all of its own values.
void check_source(Hdf5Context& context, hid_t file, hid_t creation, std::size_t part, const std::string& where,
                  int depth) {
  const std::string name = text_of(creation, part, H5Pget_virtual_dsetname);
  const std::string path = name[0] == '/' ? name : "/" + name;
  context.refusal.clear();
  const Hdf5Handle source(H5Dopen2(file, name.c_str(), context.data_set_access.id()));
  if (source.id() < 0)
    throw Error(context.code, context.refusal.empty() ? concat(where, path,
                                                               ": is missing, expected a data set; it is "
                                                               "part of another")
                                                      : context.refusal);
  if (!has_all(source.id(), creation, part))
    throw Error(context.code,
                concat(where, path, ": has not the shape of what ", context.file, " takes from it; complete it"));
  check_stored(context, source.id(), where + path, depth + 1);
}

void check_part(Hdf5Context& context, hid_t data_set, hid_t creation, std::size_t part, const std::string& where,
                int depth) {
  const std::string name = text_of(creation, part, H5Pget_virtual_filename);
  if (name == ".") {
    const Hdf5Handle file(H5Iget_file_id(data_set));
    return check_source(context, file.id(), creation, part, context.file + ": ", depth);
  }
  const std::string path = other_file(context, data_set, name, true, where);
  const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, file_access().id()));
  if (file.id() < 0) throw Error(context.code, concat(where, ": its part ", path, " cannot be opened: ", hdf5_cause()));
  check_source(context, file.id(), creation, part, path + ": ", depth);
}

/// The library asks before it follows a link into another file.
extern "C" herr_t sluice_follow_link(const char* parent, const char* group, const char* file, const char* object,
                                     unsigned*, hid_t, void* data) {
  auto& context = *static_cast<Hdf5Context*>(data);
  try {
    const std::string path = resolve(context.others, parent, file, false);
    struct stat status {};
    if (path.empty())
      context.refusal = concat(context.file, ": ", group, ": a link leads into another file (", file, ", ", object,
                               "), which is not read", context.others.advice);
    else if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode))
      context.refusal = concat(context.file, ": ", group, ": a link leads into ", path, ", which is missing");
    else
      context.parts.emplace(path, state_of(status));
  } catch (const std::exception&) {
    return -1;
  }
  return context.refusal.empty() ? 0 : -1;
}

}  // namespace

void prepare_access(Hdf5Context& context) {
  const auto list = [&context](hid_t kind) {
    Hdf5Handle made(H5Pcreate(kind));
    H5Pset_elink_cb(made.id(), sluice_follow_link, &context);
    return made;
  };
  context.link_access = list(H5P_LINK_ACCESS);
  context.group_access = list(H5P_GROUP_ACCESS);
  context.data_set_access = list(H5P_DATASET_ACCESS);
  // Names of other files are relative to the file they stand in. (Where there are none, the prefix would hinder the
  // library in opening a data set under its second name.)
  if (!context.others.folder.empty()) H5Pset_efile_prefix(context.data_set_access.id(), "${ORIGIN}");
}

void watch(Hdf5Context& context) {
  void* descriptor = nullptr;
  if (H5Fget_vfd_handle(context.handle.id(), H5P_DEFAULT, &descriptor) < 0 || descriptor == nullptr) return;
  context.descriptor = *static_cast<const int*>(descriptor);
  struct stat status {};
  if (::fstat(context.descriptor, &status) == 0) context.state = state_of(status);
}

void check_unchanged(const Hdf5Context& context, const std::string& where) {
  const auto fail = [&](const std::string& file) {
    throw Error(context.code,
                concat(where, ": ", file, " was changed while it was read; run again when it is complete"));
  };
  struct stat status {};
  if (context.descriptor >= 0 && (::fstat(context.descriptor, &status) != 0 || !(state_of(status) == context.state)))
    fail("the file");
  for (const auto& [path, state] : context.parts) {
    if (::stat(path.c_str(), &status) != 0 || !(state_of(status) == state)) fail("its part " + path);
  }
}

void check_external(Hdf5Context& context, hid_t data_set, hid_t creation, const std::string& where) {
  const std::int64_t wanted = claimed_bytes(data_set).value_or(0);
  std::int64_t found = 0;
  const int count = H5Pget_external_count(creation);
  for (int i = 0; i < count; ++i) {
    std::vector<char> name(1 << 12, '\0');
    off_t offset = 0;
    hsize_t size = 0;
    if (H5Pget_external(creation, static_cast<unsigned>(i), name.size() - 1, name.data(), &offset, &size) < 0)
      hdf5_fail(context, where, "read where its values lie");
    const std::string path = other_file(context, data_set, name.data(), false, where);
    const auto here = static_cast<std::int64_t>(std::min(size, static_cast<hsize_t>(wanted - found)));
    const std::int64_t stored = context.parts.at(path).size - offset;
    if (stored < here)
      throw Error(context.code, concat(where, ": its part ", path, " is too short: it holds ",
                                       std::max<std::int64_t>(stored, 0), " of ", here, " bytes"));
    found += here;
  }
  if (found < wanted) throw Error(context.code, concat(where, ": its parts hold ", found, " of ", wanted, " bytes"));
}

void check_virtual(Hdf5Context& context, hid_t data_set, hid_t creation, const std::string& where, int depth) {
  if (depth == kMostLevels) throw Error(context.code, where + ": virtual data sets are nested too deeply");
  std::size_t parts = 0;
  if (H5Pget_virtual_count(creation, &parts) < 0) hdf5_fail(context, where, "list its parts");
  std::vector<Box> boxes;
  for (std::size_t part = 0; part < parts; ++part) {
    const Hdf5Handle space(H5Pget_virtual_vspace(creation, part));
    if (space.id() < 0 || !add_boxes(space.id(), boxes))
      throw Error(context.code, concat(where, ": its part ", part,
                                       " has no fixed place; copy the data set into one file with h5repack"));
    check_part(context, data_set, creation, part, where, depth);
  }
  const Hdf5Handle space(H5Dget_space(data_set));
  const hssize_t wanted = H5Sget_simple_extent_npoints(space.id());
  const std::optional<hsize_t> found = covered(boxes);
  if (!found) throw Error(context.code, where + ": its parts overlap");
  if (*found != static_cast<hsize_t>(wanted))
    throw Error(context.code, concat(where, ": its ", parts, " parts hold ", *found, " of ", wanted, " elements"));
}

}  // namespace sluice::detail
