// Lists of numbers as the system writes them, and NUMA nodes in a small tree of files.
#include "core/base/processors.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/base/parallel.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
namespace fs = std::filesystem;

TEST(Processors, ListsOfNumbersGoThereAndBack) {
  EXPECT_EQ(number_list({}), "");
  EXPECT_EQ(number_list({5}), "5");
  EXPECT_EQ(number_list({0, 1, 2, 3, 8, 10, 11}), "0-3,8,10-11");
  EXPECT_THAT(parse_number_list("0-3,8,10-11\n"), ElementsAre(0, 1, 2, 3, 8, 10, 11));
  EXPECT_THAT(parse_number_list(""), IsEmpty());
  EXPECT_THAT(parse_number_list("2,x,4"), ElementsAre(2));
}

TEST(Processors, NumaNodesAreThoseThatHaveOneOfTheProcessors) {
  const std::string root = testing::TempDir() + "sluice_numa_" + std::to_string(::getpid());
  const auto write = [&](const std::string& name, const std::string& text) {
    const fs::path path = root + "/sys/devices/system/node/" + name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  };
  EXPECT_THAT(numa_nodes({0}, root), IsEmpty());
  write("node0/cpulist", "0-3,8-11\n");
  write("node1/cpulist", "4-7\n");
  write("node10/cpulist", "\n");
  write("online", "0-1\n");
  EXPECT_THAT(numa_nodes({0, 1}, root), ElementsAre(0));
  EXPECT_THAT(numa_nodes({7, 9}, root), ElementsAre(0, 1));
  EXPECT_THAT(numa_nodes({12}, root), IsEmpty());
  fs::remove_all(root);
}

TEST(Processors, TheAllowedOnesAreAtLeastAsManyAsThreads) {
  EXPECT_GE(static_cast<int>(allowed_processors().size()), available_threads());
}

}  // namespace
}  // namespace sluice
