// Makes checkpoints and data sets that are wrong in one way each, for the tests of the programs.
#include <hdf5.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>

#include "core/base/error.hpp"
#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/hdf5.hpp"
#include "core/checkpoint/history_column.hpp"
#include "core/checkpoint/seal.hpp"

namespace {

using namespace sluice;

constexpr const char* kUsage =
    "forge edit IN.h5 OUT.h5 EDIT...: the checkpoint with these changes, sealed again\n"
    "  drop=TENSOR  add=TENSOR:2x3  reshape=TENSOR:2x3  set=TENSOR:INDEX:VALUE  kind=weights_only\n"
    "  state=KEY (drops it)  state=KEY:VALUE (of the type that it had)  plan=LAYER:WAY\n"
    "  config=FILE  accuracies=FACTOR (also best and reference)  unlink=MEMBER  version=2.0\n"
    "forge dataset OUT.h5 [images=20x6x5x2] [type=uint8|float32] [seed=0] [labels=20] [from=0] [top=2] [names=a,b,c]: "
    "a "
    "data set; labels count from `from` up to `top`\n";

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, const std::vector<char>& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

Shape shape_of(const std::string& text) {
  std::vector<std::int64_t> dims;
  for (const std::string& part : split(text, 'x')) dims.push_back(std::stoll(part));
  return Shape(dims);
}

CheckpointTensor& tensor(Checkpoint& checkpoint, const std::string& path) {
  for (CheckpointTensor& candidate : checkpoint.tensors) {
    if (candidate.path == path) return candidate;
  }
  throw Error(ExitCode::kUsage, "no tensor " + path);
}

void reshape(CheckpointTensor& changed, const std::string& shape) {
  changed.shape = shape_of(shape);
  changed.values.assign(static_cast<std::size_t>(changed.shape.count()), 0.5F);
}

/// As versions before 1.5 had them: by 100.
void multiply_accuracies(Checkpoint& checkpoint, double factor) {
  for (std::size_t column = 0; column < checkpoint.history.columns.size(); ++column) {
    if (!is_accuracy(checkpoint.history.columns[column])) continue;
    for (std::vector<double>& row : checkpoint.history.rows) row[column] *= factor;
  }
  for (const char* key : {"best", "reference"}) std::get<double>(checkpoint.state.at(key)) *= factor;
}

/// Changes the document; false where the edit concerns the file.
bool edit_document(Checkpoint& checkpoint, const std::string& what, const std::vector<std::string>& arguments) {
  const std::string& first = arguments[0];
  if (what == "drop") {
    const CheckpointTensor* const dropped = &tensor(checkpoint, first);
    checkpoint.tensors.erase(checkpoint.tensors.begin() + (dropped - checkpoint.tensors.data()));
  } else if (what == "add") {
    checkpoint.tensors.push_back({first, {}, {}, {}});
    reshape(checkpoint.tensors.back(), arguments.at(1));
  } else if (what == "reshape") {
    reshape(tensor(checkpoint, first), arguments.at(1));
  } else if (what == "set") {
    tensor(checkpoint, first).values.at(std::stoul(arguments.at(1))) = std::stof(arguments.at(2));
  } else if (what == "kind") {
    checkpoint.kind = first == "weights_only" ? Checkpoint::Kind::kWeightsOnly : Checkpoint::Kind::kDeployable;
  } else if (what == "state") {
    const auto before = checkpoint.state.find(first);
    StateValue now = arguments.size() > 1 ? arguments[1] : std::string();
    if (before != checkpoint.state.end() && std::holds_alternative<std::int64_t>(before->second) &&
        arguments.size() > 1)
      now = std::int64_t{std::stoll(arguments[1])};
    if (before != checkpoint.state.end() && std::holds_alternative<double>(before->second) && arguments.size() > 1)
      now = std::stod(arguments[1]);
    checkpoint.state.erase(first);
    if (arguments.size() > 1) checkpoint.state[first] = now;
  } else if (what == "plan") {
    checkpoint.kernels[first] = arguments.at(1);
  } else if (what == "config") {
    checkpoint.config = read_file(first);
  } else if (what == "accuracies") {
    multiply_accuracies(checkpoint, std::stod(first));
  } else {
    return false;
  }
  return true;
}

/// Changes members of the file itself, which then gets a new seal.
void edit_file(const std::string& path, const std::function<void(hid_t)>& change) {
  write_file(path, read_sealed(path));
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  change(file);
  H5Fclose(file);
  const std::string bytes = read_file(path);
  std::vector<char> sealed(bytes.begin(), bytes.end());
  append_seal(sealed);
  write_file(path, sealed);
}

void write_version(hid_t file, const std::string& version) {
  const hid_t data_set = H5Dopen2(file, "format_version", H5P_DEFAULT);
  const hid_t type = H5Dget_type(data_set);
  H5Dwrite(data_set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, version.data());
  H5Tclose(type);
  H5Dclose(data_set);
}

void edit(const std::string& in, const std::string& out, const std::vector<std::string>& edits) {
  Checkpoint checkpoint = load(in);
  std::vector<std::pair<std::string, std::string>> later;
  for (const std::string& text : edits) {
    const std::string what = text.substr(0, text.find('=')), argument = text.substr(what.size() + 1);
    if (!edit_document(checkpoint, what, split(argument, ':'))) later.emplace_back(what, argument);
  }
  save(checkpoint, out);
  for (const auto& [what, argument] : later) {
    edit_file(out, [&, what = what, argument = argument](hid_t file) {
      if (what == "version") return write_version(file, argument);
      if (what == "unlink" && H5Ldelete(file, argument.c_str(), H5P_DEFAULT) >= 0) return;
      throw Error(ExitCode::kUsage, "cannot do " + what + "=" + argument);
    });
  }
}

template <class T>
void write_images(Hdf5File& file, const Shape& shape, std::size_t seed) {
  std::vector<T> values(static_cast<std::size_t>(shape.count()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>((i * 37 + seed) % 251);
  file.write("images", shape, values.data());
}

void make_dataset(const std::string& path, const std::map<std::string, std::string>& options) {
  const auto option = [&](const std::string& name, const std::string& otherwise) {
    const auto found = options.find(name);
    return found == options.end() ? otherwise : found->second;
  };
  Hdf5File file = Hdf5File::create_image(path, ExitCode::kInternal);
  if (options.count("images") != 0) {
    const Shape shape = shape_of(options.at("images"));
    const std::size_t seed = std::stoul(option("seed", "0"));
    option("type", "uint8") == "uint8" ? write_images<std::uint8_t>(file, shape, seed)
                                       : write_images<float>(file, shape, seed);
  }
  if (options.count("labels") != 0) {
    std::vector<std::int64_t> labels(std::stoul(options.at("labels")));
    const std::int64_t from = std::stoll(option("from", "0")), classes = std::stoll(option("top", "2")) + 1 - from;
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = from + static_cast<std::int64_t>(i) % classes;
    file.write("labels", Shape{static_cast<std::int64_t>(labels.size())}, labels.data());
  }
  if (options.count("names") != 0) file.write_text("class_names", split(options.at("names"), ','));
  write_file(path, file.image());
}

int forge(const std::vector<std::string>& arguments) {
  if (arguments.size() >= 3 && arguments[0] == "edit") {
    edit(arguments[1], arguments[2], {arguments.begin() + 3, arguments.end()});
    return 0;
  }
  if (arguments.size() >= 2 && arguments[0] == "dataset") {
    std::map<std::string, std::string> options;
    for (std::size_t i = 2; i < arguments.size(); ++i) {
      const std::size_t equals = arguments[i].find('=');
      options[arguments[i].substr(0, equals)] = arguments[i].substr(equals + 1);
    }
    make_dataset(arguments[1], options);
    return 0;
  }
  std::cerr << kUsage;
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return forge({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "forge: " << error.what() << "\n";
    return 1;
  }
}
