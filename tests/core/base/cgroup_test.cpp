// Quotas of control groups, version 1, version 2 and both, own and around: each a small tree of files.
#include "core/base/cgroup.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace sluice {
namespace {

namespace fs = std::filesystem;

class Cgroup : public testing::Test {
 protected:
  Cgroup() : root_(testing::TempDir() + "sluice_cgroup_" + std::to_string(::getpid())) { fs::remove_all(root_); }
  ~Cgroup() override { fs::remove_all(root_); }

  int limit(const std::map<std::string, std::string>& files) const {
    for (const auto& [name, text] : files) {
      fs::create_directories(fs::path(root_ + name).parent_path());
      std::ofstream(root_ + name) << text;
    }
    return cgroup_limit(root_);
  }

  std::string root_;
};

constexpr const char* kUnified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
constexpr const char* kFirst =
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";

TEST_F(Cgroup, NothingKnownIsNoLimit) {
  EXPECT_EQ(limit({}), 0);
  EXPECT_EQ(limit({{"/proc/self/mountinfo", kUnified}, {"/proc/self/cgroup", "0::/a/b\n"}}), 0);
  EXPECT_EQ(limit({{"/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"}}), 0);
}

TEST_F(Cgroup, OfTheOwnGroupOrAnyAroundItTheLeastCounts) {
  EXPECT_EQ(limit({{"/proc/self/mountinfo", kUnified},
                   {"/proc/self/cgroup", "0::/slurm/job_7/step_0\n"},
                   {"/sys/fs/cgroup/slurm/job_7/step_0/cpu.max", "max 100000\n"},
                   {"/sys/fs/cgroup/slurm/job_7/cpu.max", "300000 100000\n"},
                   {"/sys/fs/cgroup/slurm/cpu.max", "800000 100000\n"}}),
            3);
  EXPECT_EQ(limit({{"/sys/fs/cgroup/slurm/job_7/step_0/cpu.max", "150000 100000\n"}}), 2);  // rounded up
  EXPECT_EQ(limit({{"/sys/fs/cgroup/cpu.max", "50000 100000\n"}}), 1);                      // a container's own root
}

TEST_F(Cgroup, VersionOne) {
  EXPECT_EQ(limit({{"/proc/self/mountinfo", kFirst},
                   {"/proc/self/cgroup", "5:cpuset:/x\n4:cpu,cpuacct:/jobs/7\n"},
                   {"/sys/fs/cgroup/cpu,cpuacct/jobs/7/cpu.cfs_quota_us", "-1\n"},
                   {"/sys/fs/cgroup/cpu,cpuacct/jobs/7/cpu.cfs_period_us", "100000\n"},
                   {"/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us", "200000\n"},
                   {"/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_period_us", "50000\n"}}),
            4);
}

TEST_F(Cgroup, BothVersionsAtOnce) {
  EXPECT_EQ(limit({{"/proc/self/mountinfo",
                    std::string(kFirst) + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"},
                   {"/proc/self/cgroup", "4:cpu,cpuacct:/\n0::/\n"},
                   {"/sys/fs/cgroup/unified/cpu.max", "700000 100000\n"},
                   {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "500000\n"},
                   {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"}}),
            5);
}

// A container of version 1 sees its group as the top of the mount, under the name that the host gives it.
TEST_F(Cgroup, AMountThatBeginsAtTheGroup) {
  EXPECT_EQ(limit({{"/proc/self/mountinfo", "32 31 0:29 /docker/c1 /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"},
                   {"/proc/self/cgroup", "1:cpu:/docker/c1\n"},
                   {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n"},
                   {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}}),
            2);
  EXPECT_EQ(limit({{"/proc/self/cgroup", "1:cpu:/docker/another\n"}}), 2);
}

TEST_F(Cgroup, FilesOfAnotherKindAreNoLimit) {
  EXPECT_EQ(limit({{"/proc/self/mountinfo", std::string("nonsense\n1 2 3\n") + kUnified},
                   {"/proc/self/cgroup", "nonsense\n0::/a\n"},
                   {"/sys/fs/cgroup/a/cpu.max", "many 100000\n"},
                   {"/sys/fs/cgroup/cpu.max", "100000\n"}}),
            0);
}

}  // namespace
}  // namespace sluice
