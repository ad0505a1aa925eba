// CIFAR-10 and CIFAR-100, binary version: records of one or two label bytes and 3 x 32 x 32 pixels, channel by channel.
#include <filesystem>
#include <initializer_list>

#include "core/base/error.hpp"
#include "core/base/file_content.hpp"
#include "core/data/formats.hpp"
#include "core/data/input_file.hpp"
#include "core/data/interleave.hpp"
#include "core/data/memory.hpp"

namespace sluice {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kPixels = 32 * 32;
constexpr std::int64_t kImageBytes = 3 * kPixels;

struct Format {
  const char* name;
  const char* title;
  const char* folder;
  const char* python_folder;
  const char* python_file;
  const char* names_file;
  std::vector<std::string> train, test;
  std::int64_t label_bytes, label_at, classes;

  std::int64_t record() const { return label_bytes + kImageBytes; }
};

Format format_of(const DataOptions& options) {
  if (options.kind == DataKind::kCifar10) {
    return {"cifar10",
            "CIFAR-10",
            "cifar-10-batches-bin",
            "cifar-10-batches-py",
            "data_batch_1",
            "batches.meta.txt",
            {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
            {"test_batch.bin"},
            1,
            0,
            10};
  }
  const bool coarse = options.cifar100_coarse;
  return {"cifar100",         "CIFAR-100",      "cifar-100-binary",
          "cifar-100-python", "train",          coarse ? "coarse_label_names.txt" : "fine_label_names.txt",
          {"train.bin"},      {"test.bin"},     2,
          coarse ? 0 : 1,     coarse ? 20 : 100};
}

/// The script makes the archive's folder in the one that it is given.
std::string fetch(const Format& format, const std::string& dir) {
  fs::path target(dir);
  if (target.filename().empty()) target = target.parent_path();  // "data/"
  if (target.filename() == format.folder) target = target.parent_path();
  return concat("run sluice-get-data ", format.name, " ", target.empty() ? "." : target.string());
}

/// The folder with the binary files: `dir`, or the one in it that the archive makes.
fs::path find_folder(const Format& format, const std::string& dir) {
  const fs::path path(dir);
  if (!is_folder(dir)) {
    throw Error(ExitCode::kData,
                concat(dir, ": expected the folder of ", format.title, ", got ",
                       path_exists(dir) ? "a file" : "nothing", "; ", fetch(format, dir), ", or set [data] dir"));
  }
  for (const fs::path& folder : {path, path / format.folder}) {
    if (path_exists(folder / format.train[0]) || path_exists(folder / format.test[0])) return folder;
  }
  for (const fs::path& folder : {path, path / format.python_folder}) {
    if (!path_exists(folder / format.python_file)) continue;
    throw Error(ExitCode::kData,
                concat(folder.string(), ": this is the Python version of ", format.title, " (", format.python_file,
                       " instead of ", format.train[0], "), expected the binary version; ", fetch(format, dir)));
  }
  throw Error(ExitCode::kData, concat(dir, ": found neither ", format.train[0], " nor ", format.folder, "/",
                                      format.train[0], "; ", fetch(format, dir), ", or set [data] dir"));
}

std::int64_t count_records(const Format& format, const fs::path& path, const std::string& advice) {
  const std::int64_t bytes = InputFile(path.string(), advice).size_on_disk();
  if (bytes == 0 || bytes % format.record() != 0) {
    const std::string content = name_content_of(path.string());
    throw Error(ExitCode::kData,
                concat(path.string(), ": expected a multiple of ", format.record(), " bytes (", format.label_bytes,
                       " of labels and ", kImageBytes, " of pixels for each image), got ", bytes, ": the file is ",
                       content.empty() ? "cut short or damaged" : content, "; ", advice));
  }
  return bytes / format.record();
}

void read_records(const Format& format, const std::string& path, const std::string& advice, std::int64_t records,
                  std::uint8_t* images, std::int32_t* labels) {
  InputFile file(path, advice);
  std::vector<std::uint8_t> record(static_cast<std::size_t>(format.record()));
  for (std::int64_t i = 0; i < records; ++i) {
    file.read(record.data(), format.record(), records * format.record());
    const std::uint8_t label = record[static_cast<std::size_t>(format.label_at)];
    if (label >= format.classes) {
      file.fail(i * format.record() + format.label_at, concat("expected a label below ", format.classes, ", got ",
                                                              static_cast<int>(label), ": the file is damaged"));
    }
    labels[i] = label;
    interleave(record.data() + format.label_bytes, 3, kPixels, images + i * kImageBytes);
  }
}

std::vector<std::string> read_names(const Format& format, const fs::path& folder, const std::string& advice) {
  const fs::path path = folder / format.names_file;
  if (!path_exists(path)) return {};
  std::vector<std::string> names = read_lines(path.string());
  if (static_cast<std::int64_t>(names.size()) != format.classes) {
    throw Error(ExitCode::kData, concat(path.string(), ": expected ", format.classes,
                                        " class names, one in each line, got ", names.size(), "; ", advice));
  }
  return names;
}

}  // namespace

std::unique_ptr<Dataset> open_cifar(const DataOptions& options, Split split) {
  const Format format = format_of(options);
  const fs::path folder = find_folder(format, options.dir);
  const std::string advice = fetch(format, options.dir);
  const std::vector<std::string>& files = split == Split::kTest ? format.test : format.train;
  std::vector<std::int64_t> records;
  std::int64_t size = 0;
  for (const std::string& name : files) {
    records.push_back(count_records(format, folder / name, advice));
    size += records.back();
    if (records.back() != records[0]) {
      throw Error(ExitCode::kData, concat((folder / name).string(), ": expected ", records[0], " images as in ",
                                          files[0], ", got ", records.back(), ": one of them is cut short; ", advice));
    }
  }
  std::vector<std::uint8_t> images(static_cast<std::size_t>(size * kImageBytes));
  std::vector<std::int32_t> labels(static_cast<std::size_t>(size));
  std::int64_t first = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    read_records(format, (folder / files[i]).string(), advice, records[i], images.data() + first * kImageBytes,
                 labels.data() + first);
    first += records[i];
  }
  Classes classes =
      resolve_classes(options, format.classes, read_names(format, folder, advice), folder.string(), labels);
  return std::make_unique<MemoryDataset>(
      DatasetInfo{folder.string(), size, {3, 32, 32}, classes.count, std::move(classes.names)}, std::move(images),
      std::move(labels));
}

}  // namespace sluice
