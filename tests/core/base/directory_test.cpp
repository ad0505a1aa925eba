// The names in a directory.
#include "core/base/directory.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

namespace sluice {
namespace {

TEST(Directory, NamesOfAllButItselfAndItsParent) {
  const std::string path = testing::TempDir() + "sluice_directory";
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path + "/folder");
  std::error_code error = std::make_error_code(std::errc::io_error);
  EXPECT_THAT(names_in(path + "/folder", error), testing::IsEmpty());
  EXPECT_FALSE(error);
  std::ofstream(path + "/.hidden") << "x";
  std::ofstream(path + "/b c") << "x";
  EXPECT_THAT(names_in(path, error), testing::UnorderedElementsAre("folder", ".hidden", "b c"));
  EXPECT_FALSE(error);
  EXPECT_THAT(names_in(path + "/b c", error), testing::IsEmpty());
  EXPECT_EQ(error, std::errc::not_a_directory);
  EXPECT_THAT(names_in(path + "/absent", error), testing::IsEmpty());
  EXPECT_EQ(error, std::errc::no_such_file_or_directory);
  std::filesystem::remove_all(path);
}

}  // namespace
}  // namespace sluice
