// Whether the values of a data set are there. The library makes up what is not stored, or takes what lies behind it in
// memory.
#include <array>
#include <limits>

#include "core/checkpoint/hdf5_detail.hpp"

namespace sluice::detail {
namespace {

std::vector<std::int64_t> dims_of(hid_t data_set) {
  const Hdf5Handle space(H5Dget_space(data_set));
  std::vector<hsize_t> dims(static_cast<std::size_t>(std::max(H5Sget_simple_extent_ndims(space.id()), 0)));
  H5Sget_simple_extent_dims(space.id(), dims.data(), nullptr);
  return {dims.begin(), dims.end()};
}

std::optional<std::int64_t> product(const std::vector<std::int64_t>& factors) {
  std::int64_t result = 1;
  if (std::count(factors.begin(), factors.end(), 0) > 0) return 0;
  for (const std::int64_t factor : factors) {
    if (factor < 0 || result > std::numeric_limits<std::int64_t>::max() / factor) return std::nullopt;
    result *= factor;
  }
  return result;
}

[[noreturn]] void fail_claim(const Hdf5Context& context, hid_t data_set, const std::string& where) {
  throw Error(context.code, concat(where, ": claims shape ", to_string(Shape(dims_of(data_set))), " but stores ",
                                   H5Dget_storage_size(data_set), " bytes"));
}

/// The place of one chunk of a grid, counted row-major.
std::vector<hsize_t> chunk_place(std::int64_t number, const std::vector<std::int64_t>& grid,
                                 const std::vector<hsize_t>& chunk) {
  std::vector<hsize_t> place(grid.size());
  for (std::size_t axis = grid.size(); axis-- > 0; number /= grid[axis])
    place[axis] = static_cast<hsize_t>(number % grid[axis]) * chunk[axis];
  return place;
}

bool has_chunk(hid_t data_set, const std::vector<hsize_t>& place) {
  hsize_t bytes = 0;
  return H5Dget_chunk_storage_size(data_set, place.data(), &bytes) >= 0 && bytes > 0;
}

/// How many chunks are in the file.
std::int64_t stored_chunks(hid_t data_set, std::int64_t most) {
#if H5_VERSION_GE(1, 10, 5)
  hsize_t count = 0;
  const Hdf5Handle space(H5Dget_space(data_set));
  if (most >= 0 && H5Dget_num_chunks(data_set, space.id(), &count) >= 0) return static_cast<std::int64_t>(count);
#endif
  return std::min<std::int64_t>(most, static_cast<std::int64_t>(H5Dget_storage_size(data_set)));
}

void check_chunks(const Hdf5Context& context, hid_t data_set, hid_t creation, const std::string& where) {
  const std::vector<std::int64_t> dims = dims_of(data_set);
  std::vector<hsize_t> chunk(dims.size());
  if (H5Pget_chunk(creation, static_cast<int>(chunk.size()), chunk.data()) < 0)
    hdf5_fail(context, where, "read its chunk size");
  std::vector<std::int64_t> grid(dims.size());
  for (std::size_t axis = 0; axis < dims.size(); ++axis) {
    const auto size = static_cast<std::int64_t>(chunk[axis]);
    if (size < 1 || dims[axis] < 0) fail_claim(context, data_set, where);
    grid[axis] = dims[axis] / size + (dims[axis] % size != 0);
  }
  const std::optional<std::int64_t> expected = product(grid);
  if (!expected) fail_claim(context, data_set, where);
  const std::int64_t stored = stored_chunks(data_set, *expected);
  if (stored >= *expected) return;
  // Of the first stored + 1 chunks at least one is not there.
  std::int64_t number = 0;
  while (number < stored && has_chunk(data_set, chunk_place(number, grid, chunk))) ++number;
  const std::vector<hsize_t> place = chunk_place(number, grid, chunk);
  throw Error(context.code,
              concat(where, ": its chunk at ", to_string(Shape(std::vector<std::int64_t>(place.begin(), place.end()))),
                     " was never written (", stored, " of ", *expected,
                     " chunks are stored); complete the file, or take one that is"));
}

/// Filters that data sets are often packed with and that the library has no part of.
std::string filter_name(H5Z_filter_t filter, const char* stored) {
  constexpr std::array<std::pair<int, const char*>, 14> kNames = {{{1, "gzip"},
                                                                   {2, "shuffle"},
                                                                   {3, "Fletcher32"},
                                                                   {4, "szip"},
                                                                   {305, "LZO"},
                                                                   {307, "bzip2"},
                                                                   {32000, "lzf"},
                                                                   {32001, "blosc"},
                                                                   {32004, "lz4"},
                                                                   {32008, "bitshuffle"},
                                                                   {32013, "zfp"},
                                                                   {32015, "zstd"},
                                                                   {32017, "SZ"},
                                                                   {32026, "blosc2"}}};
  for (const auto& [number, name] : kNames) {
    if (number == filter) return name;
  }
  std::string name = stored;
  for (char& c : name) c = c < ' ' || c > '~' ? '?' : c;
  return name.empty() ? "without a name" : name;
}

}  // namespace

std::optional<std::int64_t> claimed_bytes(hid_t data_set) {
  std::vector<std::int64_t> factors = dims_of(data_set);
  factors.push_back(static_cast<std::int64_t>(H5Tget_size(Hdf5Handle(H5Dget_type(data_set)).id())));
  return product(factors);
}

std::string missing_filter(hid_t creation) {
  const int filters = H5Pget_nfilters(creation);
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0, config = 0;
    std::size_t values = 0;
    std::array<char, 64> name{};
    const H5Z_filter_t filter = H5Pget_filter2(creation, static_cast<unsigned>(i), &flags, &values, nullptr,
                                               name.size() - 1, name.data(), &config);
    if (H5Zfilter_avail(filter) > 0) continue;
    return concat("the HDF5 filter ", filter_name(filter, name.data()), " (", filter, ")");
  }
  return "";
}

void check_stored(Hdf5Context& context, hid_t data_set, const std::string& where, int depth) {
  const std::optional<std::int64_t> bytes = claimed_bytes(data_set);
  const Hdf5Handle creation(H5Dget_create_plist(data_set)), space(H5Dget_space(data_set));
  if (bytes && (*bytes == 0 || H5Sget_simple_extent_type(space.id()) == H5S_NULL)) return;
  const H5D_layout_t layout = H5Pget_layout(creation.id());
  if (!bytes) fail_claim(context, data_set, where);
  if (layout == H5D_VIRTUAL) return check_virtual(context, data_set, creation.id(), where, depth);
  if (H5Pget_external_count(creation.id()) > 0) return check_external(context, data_set, creation.id(), where);
  if (layout == H5D_CHUNKED) return check_chunks(context, data_set, creation.id(), where);
  if (H5Dget_storage_size(data_set) < static_cast<hsize_t>(*bytes)) fail_claim(context, data_set, where);
}

}  // namespace sluice::detail
