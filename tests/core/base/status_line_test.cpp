// A line of figures says as much as there is room for, and nothing by halves.
#include "core/base/status_line.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

const std::vector<LinePart> kParts = {{"epoch 3/60", "3/60", 100},
                                      {"loss 1.2345", "loss 1.23", 85},
                                      {"lr 0.1", "", 30},
                                      {"", "", 10},
                                      {"ETA 1:20", "", 90}};

TEST(StatusLine, TheLeastImportantMakesWay) {
  EXPECT_EQ(fitting_line(kParts, 41), "epoch 3/60  loss 1.2345  lr 0.1  ETA 1:20");
  EXPECT_EQ(fitting_line(kParts, 40), "epoch 3/60  loss 1.2345  ETA 1:20");
  EXPECT_EQ(fitting_line(kParts, 33), "epoch 3/60  loss 1.2345  ETA 1:20");
  EXPECT_EQ(fitting_line(kParts, 32), "3/60 loss 1.23 lr 0.1 ETA 1:20");
  EXPECT_EQ(fitting_line(kParts, 29), "3/60 loss 1.23 ETA 1:20");
  EXPECT_EQ(fitting_line(kParts, 22), "3/60 ETA 1:20");
  EXPECT_EQ(fitting_line(kParts, 12), "3/60");
  EXPECT_EQ(fitting_line(kParts, 1), "3/60");
}

TEST(StatusLine, RoomThatIsKeptForAPartMakesLinesAlike) {
  const auto line = [](const std::string& epoch, const std::string& loss, std::size_t room) {
    return fitting_line({{"epoch " + epoch, epoch, 100, 11, 5}, {"lr 0.1", "", 30}, {"loss " + loss, loss, 85, 11, 6}},
                        room);
  };
  EXPECT_EQ(line("3/60", "1.2345", 32), "epoch 3/60  lr 0.1  loss 1.2345");
  EXPECT_EQ(line("3/60", "1.2345", 31), "epoch 3/60  loss 1.2345") << "of another epoch there would be no room";
  EXPECT_EQ(line("13/60", "1.2345", 31), "epoch 13/60  loss 1.2345");
  EXPECT_EQ(line("3/60", "-", 12), "3/60 -");
  EXPECT_EQ(line("3/60", "-", 11), "3/60");
  EXPECT_EQ(line("3/60", "12345678", 12), "3/60") << "more than was kept";
}

TEST(StatusLine, APartThatHadNoRoomDoesNotComeBack) {
  KeptRoom room;
  const auto line = [&](const std::string& rate, const std::string& end) {
    std::vector<LinePart> parts = {{"epoch 3/60", "3/60", 100}, {"lr 0.1", "", 30}, {rate, "", 70}, {end, "", 65}};
    room.keep(parts);
    return fitting_line(parts, 32);
  };
  EXPECT_EQ(line("99/s", "ETA 9s"), "epoch 3/60  lr 0.1  99/s  ETA 9s");
  EXPECT_EQ(line("100/s", "ETA 9s"), "epoch 3/60  100/s  ETA 9s");
  EXPECT_EQ(line("99/s", "ETA 9s"), "epoch 3/60  99/s  ETA 9s");
  EXPECT_EQ(line("99/s", ""), "epoch 3/60  99/s") << "also where one is empty";
}

TEST(StatusLine, CountsCharactersAndNotBytes) {
  EXPECT_EQ(fitting_line({{"größer", "", 60}, {"ä", "", 55}}, 9), "größer  ä");
  EXPECT_EQ(fitting_line({}, 9), "");
}

}  // namespace
}  // namespace sluice
