// What the tests of data sets share: folders that disappear, files, error texts, and a set of numbered images.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/data/dataset.hpp"

namespace sluice {

using Bytes = std::vector<std::uint8_t>;

/// An empty folder of the running test, removed with its contents.
class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sluice-data-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  /// Makes the folders on the way, too.
  void write(const std::string& name, const Bytes& bytes) const {
    const std::string path = *this / name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(file.good());
  }
  void write(const std::string& name, const std::string& text) const { write(name, Bytes(text.begin(), text.end())); }

  void write_gzipped(const std::string& name, const Bytes& bytes) const {
    gzFile file = gzopen((*this / name).c_str(), "wb");
    ASSERT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())), static_cast<int>(bytes.size()));
    ASSERT_EQ(gzclose(file), Z_OK);
  }

  Bytes read(const std::string& name) const {
    std::ifstream file(*this / name, std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(file), {});
  }

 private:
  std::string path_;
};

/// The text of the Error(code) that `function` throws.
template <class Function>
std::string error_text(Function function, ExitCode code = ExitCode::kData) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    return error.what();
  }
  return "no error";
}

inline std::string open_error(const DataOptions& options, Split split = Split::kTrain) {
  return error_text([&] { open_dataset(options, split); });
}

struct Samples {
  Bytes images;
  std::vector<std::int32_t> labels;
};

inline Samples read_all(const Dataset& dataset) {
  Samples samples;
  std::vector<std::int64_t> indices(static_cast<std::size_t>(dataset.size()));
  std::iota(indices.begin(), indices.end(), 0);
  samples.images.resize(static_cast<std::size_t>(dataset.size() * dataset.shape().count()));
  samples.labels.resize(indices.size());
  dataset.read(indices.data(), dataset.size(), samples.images.data(), samples.labels.data());
  return samples;
}

/// Byte j of image i is a different mix of both in every image and position.
inline std::uint8_t test_byte(std::int64_t i, std::int64_t j) {
  const auto mixed = static_cast<std::uint64_t>(i * 1000003 + j) * 0x9E3779B97F4A7C15u;
  return static_cast<std::uint8_t>(mixed >> 56);
}

}  // namespace sluice
