// Tables for people: what makes way where a line has no room.
#include "core/base/table.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <sstream>

#include "core/base/terminal.hpp"

namespace sluice {
namespace {

Table runs() {
  Table table({{"run", Table::Align::kLeft},
               {"loss", Table::Align::kRight, 10},
               {"accuracy", Table::Align::kRight, 30},
               {"bits", Table::Align::kRight, 10}});
  table.add({"first", "0.25", "91.20 %", "32"});
  table.add({"größer", "1.5", "8.00 %"});
  return table;
}

std::string printed(const Table& table, std::optional<int> width, const std::string& indent = "") {
  std::ostringstream out;
  table.print(out, width, indent);
  return out.str();
}

TEST(Table, AlignsColumnsByCharacters) {
  EXPECT_EQ(printed(runs(), std::nullopt),
            "run     loss  accuracy  bits\n"
            "first   0.25   91.20 %    32\n"
            "größer   1.5    8.00 %\n");
}

TEST(Table, TheLeastImportantColumnsGoFirstAndOfEqualOnesTheLast) {
  EXPECT_EQ(printed(runs(), 28), printed(runs(), std::nullopt)) << "it fits exactly";
  EXPECT_EQ(printed(runs(), 27),
            "run     loss  accuracy\n"
            "first   0.25   91.20 %\n"
            "größer   1.5    8.00 %\n"
            "no room for: bits\n");
  EXPECT_EQ(printed(runs(), 23, "  "),
            "  run     accuracy\n"
            "  first    91.20 %\n"
            "  größer    8.00 %\n"
            "  no room for: loss,\n"
            "    bits\n");
}

TEST(Table, ANarrowColumnTakesTheRoomThatAWideOneLeaves) {
  Table table({{"run", Table::Align::kLeft},
               {"wide one", Table::Align::kRight, 80},
               {"accuracy", Table::Align::kRight, 90},
               {"a", Table::Align::kRight, 20},
               {"b", Table::Align::kRight, 30}});
  table.add({"first", "a wide value", "91.20 %", "1", "2"});
  EXPECT_EQ(printed(table, 18),
            "run    accuracy  b\n"
            "first   91.20 %  2\n"
            "no room for: wide\n"
            "  one, a\n");
}

TEST(Table, WhatMustStayStaysWhole) {
  EXPECT_EQ(printed(runs(), 1), "run\nfirst\ngrößer\nno\nroom\nfor:\nloss\nand\n2\nmore\n");
}

TEST(Table, ALastColumnThatWrapsTakesLinesRatherThanMakeWay) {
  Table table({{"layer", Table::Align::kLeft},
               {"ms", Table::Align::kRight, 40},
               {"kernels", Table::Align::kLeft, 50, Table::Narrow::kWraps}});
  table.add({"conv1", "0.25", "brgconv avx2 jit and another one"});
  table.add_heading("a heading is as wide as it likes, without making columns wide");
  table.add({"fc", "1", "gemm"});
  EXPECT_EQ(printed(table, std::nullopt),
            "layer    ms  kernels\n"
            "conv1  0.25  brgconv avx2 jit and another one\n"
            "a heading is as wide as it likes, without making columns wide\n"
            "fc        1  gemm\n");
  EXPECT_EQ(printed(table, 31, " "),
            " layer    ms  kernels\n"
            " conv1  0.25  brgconv avx2 jit\n"
            "              and another one\n"
            " a heading is as wide as it likes, without making columns wide\n"
            " fc        1  gemm\n");
  EXPECT_EQ(printed(table, 23),
            "layer  kernels\n"
            "conv1  brgconv avx2 jit\n"
            "       and another one\n"
            "a heading is as wide as it likes, without making columns wide\n"
            "fc     gemm\n"
            "no room for: ms\n");
}

TEST(Table, WhatWrapsStaysInItsColumn) {
  Table table({{"layer", Table::Align::kLeft, Table::kAlways, Table::Narrow::kCuts},
               {"forward"},
               {"backward"},
               {"kernel", Table::Align::kLeft, 50, Table::Narrow::kWraps}});
  table.add({"layer1.0.conv1 + bn1", "0.25", "0.50", "sluice_wino:avx512 all"});
  table.add({"layer1.0.conv2 + bn2 + add", "1.00", "2.00", "brgconv:avx512_core_bf16 with a tail"});
  EXPECT_EQ(printed(table, 64),
            "layer                       forward  backward  kernel\n"
            "layer1.0.conv1 + bn1           0.25      0.50  sluice_...:avx512\n"
            "                                               all\n"
            "layer1.0.conv2 + bn2 + add     1.00      2.00  brgconv...re_bf16\n"
            "                                               with a tail\n");
  EXPECT_EQ(printed(table, 50),
            "layer                       forward  backward\n"
            "layer1.0.conv1 + bn1           0.25      0.50\n"
            "layer1.0.conv2 + bn2 + add     1.00      2.00\n"
            "no room for: kernel\n");
}

/// Importances on both sides of kFigure.
Table named(Table::Narrow narrow, const std::vector<std::string>& names) {
  Table table({{"name", Table::Align::kLeft, Table::kAlways, narrow},
               {"accuracy", Table::Align::kRight, 90},
               {"times", Table::Align::kRight, 30},
               {"loss", Table::Align::kRight, 50}});
  for (const std::string& name : names) table.add({name, "91.20 %", "2.5", "0.25"});
  return table;
}

TEST(Table, NamesAreCutBeforeAFigureGoesAndTakeWhatRoomIsLeft) {
  const Table table = named(Table::Narrow::kCuts, {"network-of-gates-with-threshold-0.5", "dense"});
  EXPECT_EQ(printed(table, 58),
            "name                                 accuracy  times  loss\n"
            "network-of-gates-with-threshold-0.5   91.20 %    2.5  0.25\n"
            "dense                                 91.20 %    2.5  0.25\n");
  EXPECT_EQ(printed(table, 57),
            "name                                 accuracy  loss\n"
            "network-of-gates-with-threshold-0.5   91.20 %  0.25\n"
            "dense                                 91.20 %  0.25\n"
            "no room for: times\n");
  EXPECT_EQ(printed(table, 40),
            "name                      accuracy  loss\n"
            "network-of...reshold-0.5   91.20 %  0.25\n"
            "dense                      91.20 %  0.25\n"
            "no room for: times\n");
  EXPECT_EQ(printed(table, 26),
            "name              accuracy\n"
            "networ...old-0.5   91.20 %\n"
            "dense              91.20 %\n"
            "no room for: times, loss\n");
}

TEST(Table, RowsThatCannotBeToldApartAreWorthAFigure) {
  Table table({{"name", Table::Align::kLeft, Table::kAlways, Table::Narrow::kCuts},
               {"accuracy", Table::Align::kRight, 90},
               {"of three", Table::Align::kRight, 80},
               {"of eight", Table::Align::kRight, 70}});
  table.add({"gated-network-of-layers-1-with-a-tail", "91.20 %", "99.00 %", "3.5"});
  table.add({"gated-network-of-layers-2-with-a-tail", "91.30 %", "99.10 %", "3.6"});
  EXPECT_EQ(printed(table, 56),
            "name                        accuracy  of three  of eight\n"
            "gated-netw...1-with-a-tail   91.20 %   99.00 %       3.5\n"
            "gated-netw...2-with-a-tail   91.30 %   99.10 %       3.6\n");
  EXPECT_EQ(printed(table, 46),
            "name              accuracy  of three  of eight\n"
            "...1-with-a-tail   91.20 %   99.00 %       3.5\n"
            "...2-with-a-tail   91.30 %   99.10 %       3.6\n");
}

TEST(Table, NamesOfAThirdOfALineStayWhole) {
  Table table({{"layer", Table::Align::kLeft, Table::kAlways, Table::Narrow::kCuts},
               {"density", Table::Align::kRight, 90},
               {"cost", Table::Align::kRight, 80},
               {"multiply-adds", Table::Align::kRight, 60}});
  for (const char* name : {"layer1.0.conv1", "layer1.1.conv1", "layer1.1.conv2"})
    table.add({name, "51.2 %", "63.4 %", "1.50 M"});
  EXPECT_EQ(printed(table, 42),
            "layer           density    cost\n"
            "layer1.0.conv1   51.2 %  63.4 %\n"
            "layer1.1.conv1   51.2 %  63.4 %\n"
            "layer1.1.conv2   51.2 %  63.4 %\n"
            "no room for: multiply-adds\n");
}

/// Names of 48 characters that differ in one.
Table alike() {
  Table table({{"name", Table::Align::kLeft, Table::kAlways, Table::Narrow::kCuts},
               {"accuracy", Table::Align::kRight, 90},
               {"of three", Table::Align::kRight, 80}});
  const std::string front(22, 'a'), back(25, 'b');
  table.add({front + "1" + back, "91.20 %", "99.00 %"});
  table.add({front + "2" + back, "91.30 %", "99.10 %"});
  return table;
}

TEST(Table, NamesThatNeedMoreThanTwoThirdsOfALineStandAboveTheirFigures) {
  EXPECT_EQ(printed(alike(), 39),
            "name                           accuracy\n"
            "aaaaaaaaaaaaaaaaaaaaaa1...bbb   91.20 %\n"
            "aaaaaaaaaaaaaaaaaaaaaa2...bbb   91.30 %\n"
            "no room for: of three\n");
  EXPECT_EQ(printed(alike(), 38),
            "name\n"
            "  accuracy  of three\n"
            "aaaaaaaaaaaaaaaaaaaaaa1...bbbbbbbbbbbb\n"
            "   91.20 %   99.00 %\n"
            "aaaaaaaaaaaaaaaaaaaaaa2...bbbbbbbbbbbb\n"
            "   91.30 %   99.10 %\n")
      << "they would need 26 characters";
  EXPECT_EQ(printed(alike(), 20, " "),
            " name\n"
            "   accuracy\n"
            " aaaaaaaaaaaaaaaaaaaaaa1...\n"
            "    91.20 %\n"
            " aaaaaaaaaaaaaaaaaaaaaa2...\n"
            "    91.30 %\n"
            " no room for: of\n"
            "   three\n")
      << "names that differ look different, whatever room there is";
}

TEST(Table, OfTwoColumnsOfNamesBothTellRowsApart) {
  Table table({{"in the file", Table::Align::kLeft, Table::kAlways, Table::Narrow::kCuts},
               {"shape", Table::Align::kLeft, 45},
               {"tensor", Table::Align::kLeft, 80, Table::Narrow::kCuts}});
  const std::string block = "backbone.stage1.block";
  for (const char* index : {"1", "2"})
    table.add({block + index + ".conv1.weight", "16x16x3x3", "weights/" + block + index + ".conv1/weight"});
  EXPECT_EQ(printed(table, 100),
            "in the file                          shape      tensor\n"
            "backbone.stage1.block1.conv1.weight  16x16x3x3  weights/backbone.stage1.block1.conv1/weight\n"
            "backbone.stage1.block2.conv1.weight  16x16x3x3  weights/backbone.stage1.block2.conv1/weight\n");
  EXPECT_EQ(printed(table, 60),
            "in the file                          tensor\n"
            "backbone.stage1.block1.conv1.weight  weight...1.conv1/weight\n"
            "backbone.stage1.block2.conv1.weight  weight...2.conv1/weight\n"
            "no room for: shape\n");
}

TEST(Table, WhatIsLeftOutIsSaidInFewLines) {
  std::vector<Table::Column> columns = {{"run", Table::Align::kLeft}};
  for (int i = 0; i < 20; ++i) columns.push_back({"key" + std::to_string(i), Table::Align::kRight, 10});
  Table table(columns);
  table.add({"a", "a value that takes much of a line"});
  EXPECT_EQ(printed(table, 30), "run  key1  key2  key3  key4\na\nno room for: key0 and 15 more\n");
}

TEST(Table, PathsLeaveOutWhatAllOfThemShare) {
  const Table table = named(Table::Narrow::kCutsPaths, {"/work/runs/gated/weights.h5", "/work/runs/dense/weights.h5"});
  EXPECT_EQ(printed(table, std::nullopt),
            "name                         accuracy  times  loss\n"
            "/work/runs/gated/weights.h5   91.20 %    2.5  0.25\n"
            "/work/runs/dense/weights.h5   91.20 %    2.5  0.25\n");
  EXPECT_EQ(printed(table, 40),
            "name   accuracy  times  loss\n"
            "gated   91.20 %    2.5  0.25\n"
            "dense   91.20 %    2.5  0.25\n"
            "name: /work/runs/*/weights.h5\n");
  EXPECT_EQ(printed(table, 20),
            "name   accuracy\n"
            "gated   91.20 %\n"
            "dense   91.20 %\n"
            "name:\n"
            "  /work/runs/*/weights.h5\n"
            "no room for: times,\n"
            "  loss\n");
}

Table named_rows() {
  Table table({{"run", Table::Align::kLeft},
               {"state", Table::Align::kLeft, 95},
               {"accuracy", Table::Align::kRight, 90},
               {"lr", Table::Align::kRight, 48}});
  table.name_rows("runs");
  table.add({"a", "finished", "91.20 %", "0.1"});
  return table;
}

TEST(Table, WhatAllRowsHaveIsSaidOnceWhereThereIsNoRoom) {
  Table table = named_rows();
  EXPECT_EQ(printed(table, 20), "run  state      lr\na    finished  0.1\nno room for:\n  accuracy\n")
      << "it is the only row";
  table.add({"b", "finished", "8.00 %", "0.2"});
  EXPECT_EQ(printed(table, 28),
            "run  state     accuracy   lr\n"
            "a    finished   91.20 %  0.1\n"
            "b    finished    8.00 %  0.2\n");
  EXPECT_EQ(printed(table, 27),
            "all runs: state finished\n"
            "run  accuracy   lr\n"
            "a     91.20 %  0.1\n"
            "b      8.00 %  0.2\n");
}

TEST(Table, ValuesAreCutBeforeAColumnGoes) {
  Table table({{"run", Table::Align::kLeft},
               {"accuracy", Table::Align::kRight, 90},
               {"init", Table::Align::kRight, 48, Table::Narrow::kCutsFirst},
               {"bits", Table::Align::kRight, 10}});
  table.add({"a", "91.20 %", "networks/of/last/year/dense-91.h5", "32"});
  table.add({"b", "8.00 %", "networks/of/last/year/dense-92.h5", "4"});
  EXPECT_EQ(printed(table, 36),
            "run  accuracy             init  bits\n"
            "a     91.20 %  networ...-91.h5    32\n"
            "b      8.00 %  networ...-92.h5     4\n");
}

TEST(Table, ValuesThatDifferLookDifferent) {
  Table table({{"run", Table::Align::kLeft},
               {"accuracy", Table::Align::kRight, 90},
               {"init", Table::Align::kRight, 48, Table::Narrow::kCutsFirst}});
  const std::string front(20, 'a'), back(20, 'b');
  table.add({"a", "91.20 %", front + "1" + back});
  table.add({"b", "8.00 %", front + "2" + back});
  EXPECT_EQ(printed(table, 39),
            "run  accuracy                      init\n"
            "a     91.20 %  ...1bbbbbbbbbbbbbbbbbbbb\n"
            "b      8.00 %  ...2bbbbbbbbbbbbbbbbbbbb\n");
  EXPECT_EQ(printed(table, 38), "run  accuracy\na     91.20 %\nb      8.00 %\nno room for: init\n");
}

TEST(Table, WithoutTitlesThereIsNoLineOfThem) {
  Table table({{"", Table::Align::kLeft}, {"", Table::Align::kLeft, Table::kAlways, Table::Narrow::kWraps}});
  table.add({"file", "run/weights.h5 (sealed)"});
  EXPECT_EQ(printed(table, std::nullopt), "file  run/weights.h5 (sealed)\n");
  EXPECT_EQ(printed(table, 22), "file  run/weights.h5\n      (sealed)\n");
}

TEST(Table, CellsDoNotActOnATerminal) {
  Table table({{"run", Table::Align::kLeft}, {"x"}});
  table.add({"a\x1b[2Jb\nc", "1"});
  EXPECT_EQ(printed(table, std::nullopt), "run           x\na\\x1b[2Jb\\nc  1\n");
}

TEST(Table, MarkdownEscapesWhatWouldEndACell) {
  EXPECT_EQ(markdown_table({{"run", Table::Align::kLeft}, {"x"}}, {{"a|b", "<1"}}),
            "| run | x |\n| --- | ---: |\n| a\\|b | \\<1 |\n");
}

/// Puts an environment variable back.
class Columns {
 public:
  explicit Columns(const char* value) {
    if (const char* before = ::getenv("COLUMNS")) before_ = before;
    value != nullptr ? ::setenv("COLUMNS", value, 1) : ::unsetenv("COLUMNS");
  }
  ~Columns() { before_.empty() ? ::unsetenv("COLUMNS") : ::setenv("COLUMNS", before_.c_str(), 1); }
  Columns(const Columns&) = delete;
  Columns& operator=(const Columns&) = delete;

 private:
  std::string before_;
};

TEST(Terminal, APipeHasNoWidthUnlessColumnsSaysSo) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  for (const auto& [value, width] : {std::pair<const char*, std::optional<int>>{nullptr, std::nullopt},
                                     {"60", 60},
                                     {"", std::nullopt},
                                     {"0", std::nullopt},
                                     {"-3", std::nullopt},
                                     {"60x", std::nullopt}}) {
    const Columns columns(value);
    EXPECT_EQ(terminal_width(ends[1]), width) << (value == nullptr ? "unset" : value);
  }
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace sluice
