// What reaches a terminal: everything readable as it is, nothing that acts on the terminal.
#include "core/base/printable.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace sluice {
namespace {

TEST(Printable, ReadableTextStaysAsItIs) {
  const std::string text = "plain \xC3\xA9 \xE2\x82\xAC \xE7\x8C\xAB \xF0\x9F\x98\x80 \\x1b\n\tend";
  EXPECT_EQ(printable(text), text);
  EXPECT_EQ(one_line(text), "plain \xC3\xA9 \xE2\x82\xAC \xE7\x8C\xAB \xF0\x9F\x98\x80 \\x1b\\n\\tend");
}

TEST(Printable, ControlAndHiddenCharactersAreEscaped) {
  EXPECT_EQ(printable("\x1b[31m\r\a"), "\\x1b[31m\\x0d\\x07");
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\x7f"), "\\u007f");
  EXPECT_EQ(printable("\xC2\x9B\x33\x31m"), "\\u009b31m");                    // CSI in one character
  EXPECT_EQ(printable("a\xE2\x80\xAE\x62\xE2\x81\xA6"), "a\\u202eb\\u2066");  // right to left from here
  EXPECT_EQ(printable("\xEF\xBB\xBF\xE2\x80\x8B\xE2\x80\xA8"), "\\ufeff\\u200b\\u2028");
}

TEST(Printable, BytesThatAreNoUtf8AreShownOneByOne) {
  EXPECT_EQ(printable("caf\xE9."), "caf\\xe9.");
  EXPECT_EQ(printable("\xC0\xAF"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(printable("\xED\xA0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(printable("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond Unicode
  EXPECT_EQ(printable("\xE2\x82"), "\\xe2\\x82");                    // cut
  EXPECT_EQ(printable("\x9B\x33"), "\\x9b3");
}

TEST(Printable, ReplacesWhatJsonCannotHold) {
  EXPECT_EQ(valid_utf8("caf\xE9 \xC3\xA9\x1b"), "caf\xEF\xBF\xBD \xC3\xA9\x1b");
}

TEST(Printable, ABufferShowsTheSameHoweverItIsCut) {
  const std::string text = "\xC3\xA9\x1b\xF0\x9F\x98\x80\xE2\x80\xAE\xE9 caf\xE9\xF0\x9F";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    std::ostringstream shown;
    PrintableBuffer buffer(*shown.rdbuf());
    std::ostream out(&buffer);
    for (std::size_t at = 0; at < text.size(); at += step) out << text.substr(at, step);
    out.flush();
    EXPECT_EQ(shown.str(), printable(text)) << step;
  }
}

TEST(Printable, CountsCharactersNotBytes) {
  EXPECT_EQ(count_characters("\xC3\xA9\xE9 x", 3), 2u);
  EXPECT_EQ(count_characters("abc", 99), 3u);
}

}  // namespace
}  // namespace sluice
