#include "apps/picture_files.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "apps/plane.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/output.hpp"
#include "core/base/printable.hpp"
#include "core/config/text.hpp"
#include "core/data/input_file.hpp"
#include "core/data/picture_list.hpp"
#include "core/picture/encode.hpp"

namespace sluice {

namespace fs = std::filesystem;

namespace {

constexpr char kProgram[] = "sluice-predict";
constexpr std::size_t kMostName = 150;  // bytes of a file's name; systems allow 255

std::string canonical(const std::string& path) {
  std::error_code error;
  const fs::path found = fs::canonical(path, error);
  return error ? path : found.string();
}

PictureFile named_file(const std::string& path) {
  std::error_code error;
  return {path, fs::is_symlink(path, error) ? canonical(path) : path, fs::path(path).filename().string()};
}

void add_folder(std::string folder, std::vector<PictureFile>& pictures) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  PictureList list = list_pictures(folder);
  if (list.links > 0)
    std::cerr << "warning: " << one_line(folder) << ": " << list.links << " symbolic links are passed over\n";
  if (list.files.empty())
    throw Error(ExitCode::kData, concat(folder,
                                        ": has no pictures (files that end in .jpg, .jpeg, .png, .webp, .bmp, .ppm or "
                                        ".pgm)"));
  for (std::string& file : list.files) {
    const std::string path = concat(folder, "/", file);
    pictures.push_back({path, path, std::move(file)});
  }
}

void make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) == 0 || errno == EEXIST) return;
  throw_system_error(path, "make", errno);
}

/// The text that our PNG files begin with, behind what they are.
bool is_map(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string begin(256, '\0');
  file.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  return begin.find(std::string("tEXtSoftware\0", 13) + kProgram) != std::string::npos;
}

/// The end of a path, as one name.
std::string short_name(std::string path) {
  for (char& c : path)
    if (c == '/') c = '_';
  return path.size() > kMostName ? path.substr(path.size() - kMostName) : path;
}

Picture picture_of(const DecisionMap& map) {
  Picture picture;
  picture.reshape({map.height, map.width}, 1);
  for (std::size_t i = 0; i < map.shares.size(); ++i) picture.pixels[i] = byte_of(map.shares[i]);
  return picture;
}

}  // namespace

std::vector<PictureFile> find_pictures(const std::vector<std::string>& files_and_folders) {
  std::vector<PictureFile> pictures;
  for (const std::string& path : files_and_folders) {
    if (is_folder(path))
      add_folder(path, pictures);
    else
      pictures.push_back(named_file(path));
  }
  return pictures;
}

MapFolder::MapFolder(std::string directory, const std::vector<std::string>& inputs, bool force)
    : directory_(std::move(directory)), force_(force) {
  while (directory_.size() > 1 && directory_.back() == '/') directory_.pop_back();
  const auto refuse = [&](const std::string& text) {
    throw Error(ExitCode::kUsage, concat("command line: --maps: ", text));
  };
  if (directory_.empty() || directory_ == "-") refuse(concat("expected a folder, got ", sluice::quoted(directory_)));
  if (path_exists(directory_) && !is_folder(directory_)) refuse(concat(directory_, " is a file, expected a folder"));
  const std::string inside = canonical(directory_) + "/";
  for (const std::string& input : inputs) {
    if (starts_with(canonical(input), inside))
      refuse(concat(one_line(input), " is read by this call and lies in ", directory_, "; name another folder"));
  }
  make_folder(directory_);
  check_can_write(directory_ + "/picture.png");
}

void MapFolder::write_file(const std::string& path, const Picture& picture, const std::string& description) const {
  const Output output(path, {kProgram, is_map, force_});
  output.write(encode_png(picture, {{"Software", kProgram}, {"Description", valid_utf8(description)}}));
}

void MapFolder::write(const PictureFile& file, const Picture& picture, const std::vector<DecisionMap>& maps) {
  const std::string name = short_name(file.inner);
  std::string unique = name;
  for (int i = 2; !taken_.insert(unique).second; ++i) unique = concat(name, "-", i);
  const std::string folder = concat(directory_, "/", unique);
  make_folder(folder);
  write_file(folder + "/picture.png", picture, file.name);
  const std::size_t digits = std::max<std::size_t>(2, std::to_string(maps.size()).size());
  for (std::size_t i = 0; i < maps.size(); ++i) {
    const std::string number = std::to_string(i + 1);
    write_file(
        concat(folder, "/", std::string(digits - number.size(), '0'), number, "-", short_name(maps[i].layer), ".png"),
        picture_of(maps[i]), concat("share of open gates of ", maps[i].layer, ", 255: all; ", file.name));
  }
}

}  // namespace sluice
