// sluice-pack: pictures from folders and tar files into one HDF5 data set.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iostream>

#include "apps/outputs.hpp"
#include "apps/pack/pack_pictures.hpp"
#include "apps/pack/write_set.hpp"
#include "apps/program.hpp"
#include "core/base/digest.hpp"
#include "core/base/error.hpp"
#include "core/base/parallel.hpp"
#include "core/base/signals.hpp"
#include "core/config/text.hpp"
#include "core/data/input_file.hpp"
#include "core/picture/decode.hpp"

namespace {

using namespace sluice;

Program describe() {
  Program program;
  program.usage =
      "FOLDER -o SET.h5 [options]\n"
      "       sluice-pack SET.npz|SET.mat -o SET.h5 [options]\n"
      "       sluice-pack TRAIN.tar... [--test=TEST.tar ...] -o SET.h5 [options]";
  program.summary =
      "Packs pictures into one HDF5 data set, which [data] kind = hdf5 reads: a folder as kind = folder takes it, or "
      "tar files "
      "with a folder for each class or with WebDataset's NAME.jpg and NAME.cls. A folder may also hold CIFAR's Python "
      "version, MNIST's or a relative's IDX files, STL-10 or SVHN. Every picture is decoded; those that cannot be "
      "read are named and left out. What was stopped goes on by the same command (docs/pictures.md).";
  program.flags = {
      {"output", "FILE", "The file to write.", 'o'},
      force_flag(),
      {"test", "FILE.tar", "Pictures of the test set. May be given several times.", '\0', true},
      {"test-share", "S",
       "Of a folder that holds the classes itself: the share of each that is the test set (default 0.2)."},
      {"pixels", "TRANSFORMS",
       "Store pixels, after transforms that give all pictures one size, such as \"resize(72), center_crop(64)\"; "
       "unset: the files' bytes."},
      {"grey", "", "With --pixels: one channel."},
      {"class-names", "FILE", "Names of the classes, a line each, in place of those of their folders."},
      {"max-pixels", "N", "Larger pictures cannot be read (default 100000000)."},
      {"threads", "N", "Threads that decode (default: all)."}};
  program.notes = {"Exit codes: 0 done, 2 usage, 3 data, 6 the output cannot be written, 75 stopped, to be continued."};
  return program;
}

[[noreturn]] void refuse(const std::string& text) {
  throw Error(ExitCode::kUsage, "command line: " + text);
}

template <class Number>
Number number_of(const CommandLine& line, const std::string& flag, Number least, Number most, Number otherwise) {
  const std::string text = line.value(flag).value_or("");
  if (!line.has(flag)) return otherwise;
  Number value{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || !(value >= least && value <= most))
    refuse(concat("--", flag, ": expected ", least, " to ", most, ", got ", quoted(text)));
  return value;
}

bool is_packed(const std::string& path) {
  return begins_with(path, kPackedMark);
}

PackOptions options_of(const CommandLine& line) {
  PackOptions options;
  options.max_pixels = number_of<std::int64_t>(line, "max-pixels", 1, std::int64_t{1} << 30, 100'000'000);
  options.threads = number_of(line, "threads", 1, 1024, available_threads());
  if (!line.has("pixels")) {
    if (line.has("grey")) refuse("--grey goes with --pixels");
    return options;
  }
  options.channels = line.has("grey") ? 1 : 3;
  try {
    options.pixels = Transforms(*line.value("pixels"));
  } catch (const Error& error) {
    refuse(concat("--pixels: ", error.what()));
  }
  if (const std::string& random = options.pixels.first_random(); !random.empty())
    refuse(concat("--pixels: ", random, " draws random numbers, and pixels are stored once"));
  if (!options.pixels.size(std::nullopt))
    refuse("--pixels: expected transforms that give all pictures one size, such as resize(72), center_crop(64)");
  return options;
}

std::unique_ptr<PictureSource> open_source(const CommandLine& line, const PackOptions& options) {
  const std::vector<std::string>& sources = line.positional();
  if (sources.empty()) refuse("expected a folder of pictures or tar files, got nothing");
  const bool folder = is_folder(sources[0]);
  const SourceOptions wanted{number_of(line, "test-share", 0.0, 0.9, 0.2), options.max_pixels,
                             line.path("class-names").value_or("")};
  if (auto arrays = sources.size() == 1 ? open_array_source(sources[0], wanted) : nullptr) {
    for (const char* flag : {"test", "test-share"})
      if (line.has(flag)) refuse(concat("--", flag, ": ", sources[0], " has its test set in itself"));
    return arrays;
  }
  if (!folder && line.has("test-share")) refuse("--test-share goes with a folder; name tar files by --test");
  if (!folder) return open_tar_source(sources, line.values("test"), wanted);
  if (sources.size() > 1) refuse(concat("expected one folder, got ", sources.size(), " sources"));
  if (line.has("test")) refuse("--test goes with tar files; a folder has its test set in itself");
  return open_folder_source(sources[0], wanted);
}

/// An output in the place of what is packed would be lost before it is read.
void refuse_inputs(const Output& output, const CommandLine& line) {
  std::vector<std::string> inputs = line.positional();
  for (const std::string& test : line.values("test")) inputs.push_back(test);
  if (const auto names = line.path("class-names")) inputs.push_back(*names);
  output.refuse_inputs(inputs);
  DataOptions folder;
  folder.kind = DataKind::kFolder;
  folder.dir = line.positional().empty() ? "" : line.positional()[0];
  if (output.replaces_foreign() && may_be_read(folder, output.path()))
    throw Error(ExitCode::kUsage, concat(output.path(), ": lies in the folder that this call reads (", folder.dir,
                                         "); name another file"));
}

/// What the spool's pictures depend on.
std::string job_digest(const CommandLine& line, const PackOptions& options, const PictureSource& source) {
  std::string text = concat(line.value("pixels").value_or(""), '\n', options.channels, '\n', options.max_pixels, '\n',
                            source.size(), '\n', join(line.positional(), "\n"), "\ntest\n",
                            join(line.values("test"), "\n"), "\nnames\n", join(source.class_names(), "\n"));
  return digest_hex(text.data(), static_cast<std::int64_t>(text.size()));
}

void require_all_classes(const Spool& spool, const std::vector<std::string>& names) {
  std::vector<bool> seen(names.size());
  bool any = false;
  for (const SpooledPicture& picture : spool.pictures()) {
    if (!picture.good() || picture.split != Split::kTrain) continue;
    any = true;
    if (!seen.empty()) seen[static_cast<std::size_t>(picture.label)] = true;
  }
  if (!any) throw Error(ExitCode::kData, "none of the training pictures can be read");
  const auto missing = std::find(seen.begin(), seen.end(), false);
  if (missing != seen.end())
    throw Error(ExitCode::kData, concat("the class ", quoted(names[static_cast<std::size_t>(missing - seen.begin())]),
                                        " has no training picture that can be read"));
}

/// What was written, and the lines of a configuration that reads it.
void report(const Spool& spool, const std::vector<std::string>& names, const std::string& path) {
  std::int64_t train = 0, test = 0, bad = 0;
  std::int32_t most = 0;
  for (const SpooledPicture& picture : spool.pictures()) {
    ++(!picture.good() ? bad : picture.split == Split::kTrain ? train : test);
    most = std::max(most, picture.label);
  }
  const std::size_t classes = names.empty() ? static_cast<std::size_t>(most) + 1 : names.size();
  const std::filesystem::path file(path);
  std::cout << "wrote " << path << ": " << train << " training and " << test << " test pictures of " << classes
            << " classes; " << bad << " could not be read\n[data]\nkind = hdf5\ndir = "
            << (file.has_parent_path() ? file.parent_path().string() : ".")
            << "\nhdf5_train = " << file.filename().string() << "\nhdf5_train_group = train\n";
  if (test > 0) std::cout << "hdf5_test = " << file.filename().string() << "\nhdf5_test_group = test\n";
}

int pack(const CommandLine& line) {
  PackOptions options = options_of(line);
  const Output output = output_of(line, "output", "sluice-pack", is_packed);
  if (!output.is_file()) refuse("-o: expected the name of a file; HDF5 is not written to a stream");
  refuse_inputs(output, line);
  require_picture_libraries("sluice-pack");
  const auto source = open_source(line, options);
  if (const auto shape = source->pixels(); shape && options.pixels.empty()) {
    options.pixels = Transforms(concat("resize(", shape->height, "x", shape->width, ")"));
    options.channels = shape->channels;
  }
  Log log;
  for (const std::string& warning : source->warnings()) log.warning(warning);
  Spool spool(output.path() + ".partial", job_digest(line, options, *source));
  StopSignals::end_at_once(false);
  pack_pictures(*source, options, spool, log);
  require_all_classes(spool, source->class_names());
  write_set({spool, source->class_names(), options.pixels.empty() ? 0 : options.channels}, output.path());
  spool.remove();
  report(spool, source->class_names(), output.path());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const StopSignals signals;
  StopSignals::end_at_once(true);
  return run_program("sluice-pack", describe, argc, argv, pack);
}
