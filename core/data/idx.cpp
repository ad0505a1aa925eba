// IDX files of unsigned bytes (MNIST and its relatives), plain or gzipped.
#include <filesystem>
#include <iomanip>

#include "core/base/error.hpp"
#include "core/base/file_content.hpp"
#include "core/base/text_stream.hpp"
#include "core/data/formats.hpp"
#include "core/data/idx_file.hpp"
#include "core/data/memory.hpp"

namespace sluice {

namespace fs = std::filesystem;

namespace {

/// Of the magic number, without the number of dimensions.
constexpr std::uint32_t kUnsignedBytes = kIdxBytes << 8;

std::string hex(std::uint32_t value) {
  TextWriter text;
  text << "0x" << std::hex << std::setw(8) << std::setfill('0') << value;
  return text.str();
}

/// The file as named, gzipped, or with a dot as some mirrors have it (train-images.idx3-ubyte).
std::string find_file(const std::string& dir, const std::string& name, const char* key) {
  const fs::path plain = fs::path(dir) / name;
  std::string dotted = name;
  const std::size_t dash = name.rfind("-idx");
  if (dash != std::string::npos) dotted[dash] = '.';
  for (const std::string& variant : {name, name + ".gz", dotted, dotted + ".gz"}) {
    const fs::path path = fs::path(dir) / variant;
    if (path_exists(path)) return path.string();
  }
  throw Error(ExitCode::kData, concat(plain.string(), ": no such file, plain or with .gz; set [data] dir and ", key));
}

/// "unsigned bytes, 3 dimensions"; empty where the number says nothing of the kind.
std::string name_type(std::uint32_t magic) {
  const std::uint32_t type = magic >> 8, dimensions = magic & 0xff;
  const char* const types[] = {"unsigned bytes",  "signed bytes",  nullptr,        "16-bit integers",
                               "32-bit integers", "32-bit floats", "64-bit floats"};
  if (type < 0x08 || type > 0x0e || types[type - 0x08] == nullptr) return "";
  return concat(types[type - 0x08], ", ", dimensions, dimensions == 1 ? " dimension" : " dimensions");
}

/// What a file with another magic number is.
std::string explain(std::uint32_t magic) {
  if (magic == (kUnsignedBytes | 1)) return "a file of labels";
  if (magic == (kUnsignedBytes | 3)) return "a file of images";
  if (const std::string type = name_type(magic); !type.empty()) return type;
  const char bytes[] = {static_cast<char>(magic >> 24), static_cast<char>(magic >> 16), static_cast<char>(magic >> 8),
                        static_cast<char>(magic)};
  return name_content(bytes, sizeof bytes);
}

void check_magic(const InputFile& file, std::uint32_t magic, std::uint32_t dimensions) {
  if (magic == (kUnsignedBytes | dimensions)) return;
  std::string what = explain(magic);
  if (file.gzipped() && what == "a gzipped file") what += " again: it was gzipped twice";
  file.fail(0, concat("expected the magic number ", hex(kUnsignedBytes | dimensions), " (",
                      name_type(kUnsignedBytes | dimensions), "), got ", hex(magic),
                      what.empty() ? "" : concat(" (", what, ")")));
}

IdxFile read(const std::string& path, std::uint32_t dimensions, const char* key) {
  InputFile file(path, concat("check [data] ", key, ", or fetch the file again"));
  return read_idx(file, dimensions, [&](std::uint32_t magic) { check_magic(file, magic, dimensions); });
}

}  // namespace

std::unique_ptr<Dataset> open_idx(const DataOptions& options, Split split) {
  const bool test = split == Split::kTest;
  if (!is_folder(options.dir)) {
    throw Error(ExitCode::kData, concat(options.dir, ": expected the folder of the IDX files, got ",
                                        path_exists(options.dir) ? "a file" : "nothing", "; set [data] dir"));
  }
  const char* const images_key = test ? "idx_test_images" : "idx_train_images";
  const char* const labels_key = test ? "idx_test_labels" : "idx_train_labels";
  const std::string images_path =
      find_file(options.dir, test ? options.idx_test_images : options.idx_train_images, images_key);
  const std::string labels_path =
      find_file(options.dir, test ? options.idx_test_labels : options.idx_train_labels, labels_key);
  const IdxFile label_file = read(labels_path, 1, labels_key);
  IdxFile images = read(images_path, 3, images_key);
  if (images.dims[0] != label_file.dims[0]) {
    throw Error(ExitCode::kData,
                concat(labels_path, ": expected a label for each of the ", images.dims[0], " images of ", images_path,
                       ", got ", label_file.dims[0], "; check [data] ", labels_key));
  }
  const std::vector<std::int32_t> labels(label_file.values.begin(), label_file.values.end());
  Classes classes = resolve_classes(options, 0, {}, labels_path, labels);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < classes.count) continue;
    throw Error(ExitCode::kData, concat(labels_path, ": byte ", label_file.header_bytes + static_cast<std::int64_t>(i),
                                        ": expected a label below ", classes.count, ", got ", labels[i],
                                        counted_from_one(labels, classes.count), "; check [data] classes"));
  }
  return std::make_unique<MemoryDataset>(
      DatasetInfo{
          images_path, images.dims[0], {1, images.dims[1], images.dims[2]}, classes.count, std::move(classes.names)},
      std::move(images.values), labels);
}

}  // namespace sluice
