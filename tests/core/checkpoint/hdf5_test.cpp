// The HDF5 layer: what is written is read back, files of other programs are read, failures name the object.
#include "core/checkpoint/hdf5.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <class Function>
std::string error_text(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

void fill(Hdf5File& file) {
  Hdf5Group group = file.create_group("a");
  std::vector<float> grid;
  for (int i = 0; i < 5 * 7; ++i) grid.push_back(static_cast<float>(i) / 4.0f);
  group.write("grid", Shape{5, 7}, grid.data());
  const std::int64_t step = -(std::int64_t{1} << 60);
  group.write("step", Shape{}, &step);
  group.write("empty", Shape{0, 3}, grid.data());
  file.link("b", "/a/grid");
  file.write_text("text", "first line\nsecond line");
  file.write_text("names", std::vector<std::string>{"", "bl\xc3\xa4tter", "x"});
  file.write_table("table", {"epoch", "loss"}, {1, 0.5, 2, 0.25, 3, 0.125});
  group.write_attribute("count", std::int64_t{42});
  group.write_attribute("share", 0.75);
  group.write_attribute("note", std::string("bits"));
}

std::vector<char> sample() {
  Hdf5File file = Hdf5File::create_image("sample.h5", ExitCode::kCheckpoint);
  fill(file);
  return file.image();
}

TEST(Hdf5, ReadsBackWhatItWrote) {
  const Hdf5File file = Hdf5File::open_image(sample(), "sample.h5", ExitCode::kCheckpoint);
  EXPECT_THAT(file.members(), ElementsAre("a", "b", "names", "table", "text"));
  const Hdf5DataSet grid = file.data_set("a/grid");
  EXPECT_EQ(grid.shape(), (Shape{5, 7}));
  EXPECT_EQ(to_string(grid.info().type), "float32");
  EXPECT_TRUE(grid.info().checksum);
  EXPECT_THAT(grid.info().chunk, ElementsAre(5, 7));
  const std::vector<float> values = grid.read<float>();
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], static_cast<float>(i) / 4.0f);
  EXPECT_EQ(file.data_set("a/step").read<std::int64_t>().at(0), -(std::int64_t{1} << 60));
  EXPECT_TRUE(file.data_set("a/empty").read<float>().empty());
  EXPECT_THAT(file.data_set("text").read_text(), ElementsAre("first line\nsecond line"));
  EXPECT_THAT(file.data_set("names").read_text(), ElementsAre("", "bl\xc3\xa4tter", "x"));
  std::vector<std::string> columns;
  std::vector<double> rows;
  file.data_set("table").read_table(columns, rows);
  EXPECT_THAT(columns, ElementsAre("epoch", "loss"));
  EXPECT_THAT(rows, ElementsAre(1, 0.5, 2, 0.25, 3, 0.125));
}

TEST(Hdf5, ReadsBoxesInAnotherType) {
  const Hdf5File file = Hdf5File::open_image(sample(), "sample.h5", ExitCode::kCheckpoint);
  std::vector<double> box(6, -1.0);
  file.data_set("a/grid").read({2, 4}, {2, 3}, box.data());
  EXPECT_THAT(box, ElementsAre(4.5, 4.75, 5.0, 6.25, 6.5, 6.75));
  EXPECT_THAT(error_text([&] {
                file.data_set("a/grid").read({4, 0}, {2, 7}, box.data());
              }),
              HasSubstr("sample.h5: /a/grid: cannot"));
}

TEST(Hdf5, ReadsAttributes) {
  const Hdf5File file = Hdf5File::open_image(sample(), "sample.h5", ExitCode::kCheckpoint);
  const Hdf5Group group = file.group("a");
  EXPECT_THAT(group.attributes(), ElementsAre("count", "note", "share"));
  EXPECT_THAT(group.attribute<std::int64_t>("count"), ElementsAre(42));
  EXPECT_THAT(group.attribute<double>("share"), ElementsAre(0.75));
  EXPECT_THAT(group.text_attribute("note"), ElementsAre("bits"));
  EXPECT_EQ(error_text([&] { group.attribute<double>("nothing"); }), "sample.h5: /a: attribute 'nothing' is missing");
  EXPECT_EQ(error_text([&] { group.attribute<double>("note"); }),
            "sample.h5: /a: attribute 'note' holds text, expected numbers");
  EXPECT_EQ(error_text([&] { group.text_attribute("count"); }),
            "sample.h5: /a: attribute 'count' holds int64, expected text");
}

TEST(Hdf5, HardLinksShareTheirIdentity) {
  const Hdf5File file = Hdf5File::open_image(sample(), "sample.h5", ExitCode::kCheckpoint);
  EXPECT_EQ(file.data_set("b").identity(), file.data_set("a/grid").identity());
  EXPECT_NE(file.data_set("b").identity(), file.data_set("a/step").identity());
}

TEST(Hdf5, EqualContentsGiveEqualBytes) {
  EXPECT_EQ(sample(), sample());
}

TEST(Hdf5, ObjectsOutliveTheFileTheyCameFrom) {
  const auto data_set = [] {
    return Hdf5File::open_image(sample(), "sample.h5", ExitCode::kCheckpoint).data_set("a/grid");
  }();
  EXPECT_EQ(data_set.read<float>().at(34), 8.5f);
}

TEST(Hdf5, NamesWhatIsMissingOrOfTheWrongKind) {
  const Hdf5File file = Hdf5File::open_image(sample(), "sample.h5", ExitCode::kData);
  EXPECT_EQ(file.kind("a/grid"), Hdf5Group::Kind::kDataSet);
  EXPECT_EQ(file.kind("a"), Hdf5Group::Kind::kGroup);
  EXPECT_EQ(file.kind("x/y/z"), Hdf5Group::Kind::kAbsent);
  EXPECT_EQ(error_text([&] { file.data_set("images"); }), "sample.h5: /images: is missing, expected a data set");
  EXPECT_EQ(error_text([&] { file.data_set("a"); }), "sample.h5: /a: is no data set, expected a data set");
  EXPECT_EQ(error_text([&] { file.group("text"); }), "sample.h5: /text: is no group, expected a group");
  EXPECT_EQ(error_text([&] { file.data_set("text").read<float>(); }), "sample.h5: /text: holds text, expected numbers");
}

TEST(Hdf5, SaysWhyAFileCannotBeOpened) {
  const auto open = [](const std::string& path) { return error_text([&] { Hdf5File::open(path, ExitCode::kData); }); };
  const std::string dir = ::testing::TempDir();
  EXPECT_EQ(open(dir + "/absent.h5"), dir + "/absent.h5: cannot open: No such file or directory");
  EXPECT_EQ(open(dir), dir + ": is a directory, expected an HDF5 file");
  std::ofstream(dir + "/empty.h5").close();
  EXPECT_EQ(open(dir + "/empty.h5"), dir + "/empty.h5: is empty (0 bytes), expected an HDF5 file");
  std::ofstream(dir + "/text.h5") << "[network]\n";
  EXPECT_EQ(open(dir + "/text.h5"), dir + "/text.h5: cannot open as an HDF5 file: file signature not found");
}

}  // namespace
}  // namespace sluice
