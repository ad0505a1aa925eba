// Names that are shortened stay names that tell things apart.
#include "core/base/shorten.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

struct Shared {
  std::vector<std::string> paths;
  std::string front, back;
  std::vector<std::string> rests;
};

TEST(Shorten, PathsShareWholeNamesAndKeepOne) {
  const Shared cases[] = {
      {{"runs/a/weights.h5", "runs/b/weights.h5"}, "runs/", "/weights.h5", {"a", "b"}},
      {{"/x/runs/a/1.h5", "", "/x/ruby/a/1.h5"}, "/x/", "/a/1.h5", {"runs", "", "ruby"}},
      {{"set/cat/1.png", "set/cat/2.png"}, "set/cat/", "", {"1.png", "2.png"}},
      {{"runs/a/weights.h5", "runs/weights.h5"}, "runs/", "", {"a/weights.h5", "weights.h5"}},
      {{"a/b/weights.h5", "a/b/weights.h5"}, "a/b/", "", {"weights.h5", "weights.h5"}},
      {{"runs/a/", "runs/b/"}, "runs/", "/", {"a", "b"}},
      {{"one/folder/weights.h5"}, "one/folder/", "", {"weights.h5"}},
      {{"weights.h5", "runs/weights.h5"}, "", "", {"weights.h5", "runs/weights.h5"}},
      {{"/", "/a"}, "", "", {"/", "/a"}},
      {{"", ""}, "", "", {"", ""}},
      {{}, "", "", {}},
  };
  for (const Shared& wanted : cases) {
    const SharedPath shared = shared_path(wanted.paths);
    EXPECT_EQ(shared.front, wanted.front);
    EXPECT_EQ(shared.back, wanted.back);
    for (std::size_t i = 0; i < wanted.paths.size(); ++i) EXPECT_EQ(shared.rest_of(wanted.paths[i]), wanted.rests[i]);
  }
}

}  // namespace
}  // namespace sluice
