// Names that are shortened stay names that tell things apart.
#include "core/base/shorten.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Shorten, TheMiddleOfALongNameMakesWay) {
  EXPECT_EQ(cut_middle("resnet20-target-0.5", 19), "resnet20-target-0.5");
  EXPECT_EQ(cut_middle("resnet20-target-0.5", 18), "resnet2...rget-0.5");
  EXPECT_EQ(cut_middle("resnet20-target-0.5", 5), "r...5");
  EXPECT_EQ(cut_middle("größer als üblich", 9), "grö...ich");
  EXPECT_EQ(cut_middle("", 5), "");
}

TEST(Shorten, NamesAreCutNoFurtherThanTheyDiffer) {
  const std::vector<std::string> names = {"gated-network-of-many-layers-1-of-3", "gated-network-of-many-layers-2-of-3"};
  const std::size_t width = telling_width(names, 8, 40);
  EXPECT_EQ(cut_middle(names[0], width), "gated...1-of-3");
  EXPECT_EQ(cut_middle(names[1], width), "gated...2-of-3");
  EXPECT_EQ(cut_middle(names[0], width - 1), cut_middle(names[1], width - 1));
  EXPECT_EQ(telling_width(names, 8, width - 1), 8u) << "none of them does";
  EXPECT_EQ(telling_width({"a", "b", "a"}, 8, 20), 8u);
  EXPECT_EQ(telling_width({}, 8, 20), 8u);
}

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
