// Work that crashes, hangs, or asks for too much ends in the child only, and the parent says how.
#include "core/checkpoint/protected_child.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <ostream>
#include <vector>

#include "core/base/error.hpp"

namespace sluice {
namespace {

using End = ChildResult::End;

TEST(ProtectedChild, HandsBackOutputAndCode) {
  const std::string large(300000, 'x');  // more than a pipe holds
  const ChildResult result = run_in_child(
      [&](std::ostream& out, std::ostream& err) {
        out << large;
        err << "warning\n";
        return 7;
      },
      {});
  EXPECT_EQ(result.end, End::kReturned);
  EXPECT_EQ(result.code, 7);
  EXPECT_EQ(result.out, large);
  EXPECT_EQ(result.err, "warning\n");
}

TEST(ProtectedChild, TurnsErrorsIntoTextAndCode) {
  const ChildResult result =
      run_in_child([](std::ostream&, std::ostream&) -> int { throw Error(ExitCode::kData, "a.h5: is damaged"); }, {});
  EXPECT_EQ(result.end, End::kReturned);
  EXPECT_EQ(result.code, static_cast<int>(ExitCode::kData));
  EXPECT_EQ(result.err, "a.h5: is damaged\n");
}

TEST(ProtectedChild, SurvivesCrashes) {
  const ChildResult result = run_in_child(
      [](std::ostream& out, std::ostream&) {
        out << "half";
        return std::raise(SIGSEGV);
      },
      {});
  EXPECT_EQ(result.end, End::kCrashed);
  EXPECT_EQ(result.describe, "crashed (signal 11, Segmentation fault)");
  EXPECT_EQ(result.out, "");
}

TEST(ProtectedChild, EndsWorkThatHangs) {
  ChildLimits limits;
  limits.seconds = 0.2;
  const ChildResult result = run_in_child(
      [](std::ostream&, std::ostream&) {
        for (;;) ::pause();
        return 0;
      },
      limits);
  EXPECT_EQ(result.end, End::kTimedOut);
  EXPECT_EQ(result.describe, "took longer than 0.2 s");
}

TEST(ProtectedChild, LimitsOutput) {
  ChildLimits limits;
  limits.output_bytes = 1 << 20;
  const ChildResult result = run_in_child(
      [](std::ostream& out, std::ostream&) {
        out << std::string(3 << 20, 'x');
        return 0;
      },
      limits);
  EXPECT_EQ(result.end, End::kTooMuchOutput);
  EXPECT_EQ(result.describe, "printed more than 1 MiB");
}

TEST(ProtectedChild, LimitsMemory) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers need their address space";
#endif
  const ChildResult result = run_in_child(
      [](std::ostream&, std::ostream&) {
        std::vector<char> large(std::size_t{8} << 30);
        return large.empty() ? 1 : 0;
      },
      {});
  EXPECT_EQ(result.end, End::kReturned);
  EXPECT_EQ(result.code, static_cast<int>(ExitCode::kCheckpoint));
  EXPECT_EQ(result.err, "more memory was asked for than is allowed for a file without a seal\n");
}

}  // namespace
}  // namespace sluice
