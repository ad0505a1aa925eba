// Lines that are too long for a terminal are broken between words; nothing is lost, and pipes get them whole.
#include "core/base/wrap.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <ostream>
#include <sstream>

namespace sluice {
namespace {

TEST(Wrap, BreaksAtTheLastSpaceThatFits) {
  EXPECT_EQ(wrapped("one two three four", 18), "one two three four");
  EXPECT_EQ(wrapped("one two three four", 17), "one two three\n  four");
  EXPECT_EQ(wrapped("one two three four", 13), "one two three\n  four");
  EXPECT_EQ(wrapped("one two three four", 9), "one two\n  three\n  four");
  EXPECT_EQ(wrapped("  a bcd efg h\nnext line\n", 8), "  a bcd\n    efg\n    h\nnext\n  line\n");
}

TEST(Wrap, ANumberKeepsItsUnit) {
  EXPECT_EQ(wrapped("open are 49.9 % of them", 13), "open are\n  49.9 % of\n  them");
  EXPECT_EQ(wrapped("the step (0.25 ms) ends", 14), "the step\n  (0.25 ms)\n  ends");
  EXPECT_EQ(wrapped("file a.h5, 1.5 MiB, sealed", 14), "file a.h5,\n  1.5 MiB,\n  sealed");
  EXPECT_EQ(wrapped("ran for 1e+07 M of them", 14), "ran for\n  1e+07 M of\n  them");
  EXPECT_EQ(wrapped("the layer s is not one", 10), "the layer\n  s is not\n  one") << "no number before it";
  EXPECT_EQ(wrapped("12 ms", 3), "12 ms") << "nowhere to break";
}

TEST(Wrap, HangsWhereItIsTold) {
  EXPECT_EQ(wrapped("name  one two three", 13, 6), "name  one two\n      three");
  EXPECT_EQ(wrapped("name  one two three", 10, 20), "name  one\n     two\n     three") << "never past the middle";
}

TEST(Wrap, AWordStaysWhole) {
  EXPECT_EQ(wrapped("/a/long/path is here", 8), "/a/long/path\n  is\n  here");
  EXPECT_EQ(wrapped("see /a/long/path", 8), "see\n  /a/long/path");
  EXPECT_EQ(wrapped("unbroken", 3), "unbroken");
  EXPECT_EQ(wrapped("      ", 3), "      ");
  EXPECT_EQ(wrapped("", 3), "");
}

TEST(Wrap, CountsCharactersAndNotBytes) {
  EXPECT_EQ(wrapped("größer als", 10), "größer als");
  EXPECT_EQ(wrapped("größer als", 9), "größer\n  als");
}

TEST(Wrap, APipeGetsLinesAsTheyAre) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const std::string line(200, 'x');
  EXPECT_EQ(lines_for(ends[1], line + " and more\n"), line + " and more\n");
  std::ostringstream sink;
  {
    WrappingBuffer buffer(*sink.rdbuf(), ends[1]);
    std::ostream out(&buffer);
    out << line << ' ' << line << " begun";
  }
  EXPECT_EQ(sink.str(), line + ' ' + line + " begun");
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace sluice
