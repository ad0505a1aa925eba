// One line of figures for people, of which the less important ones make way where a terminal has no room.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace sluice {

struct LinePart {
  std::string text;       ///< "loss 1.2345"
  std::string brief;      ///< "loss 1.23"; empty: the text
  int importance = 1000;  ///< below kSpare: given up before anything is said briefly
  /// Characters that are kept for the text and for the brief one, so that lines of like figures say the same ones.
  std::size_t kept = 0, kept_brief = 0;
  static constexpr int kSpare = 50;
};

/// The parts in their order, as many and as long as fit into `room` characters: first the spare ones go, the least
/// important first; where that is not enough, all are brief and stand with a space between them, and the least
/// important go, but one. No part is cut. What is kept for a part counts as if it were said, also
/// for an empty one.
std::string fitting_line(const std::vector<LinePart>& all, std::size_t room, const char* separator = "  ");

/// Characters of all parts in one line, and of what is kept for them.
std::size_t line_width(const std::vector<LinePart>& all, const char* separator = "  ");

/// Keeps lines of like parts alike: a part has the room that the one at its place ever took. So parts that had no room
/// do not come back.
class KeptRoom {
 public:
  /// Enlarges what is kept for the parts.
  void keep(std::vector<LinePart>& parts);

 private:
  std::vector<LinePart> widest_;  ///< by place, only what is kept
};

}  // namespace sluice
