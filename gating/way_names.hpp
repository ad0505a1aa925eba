// What the ways of gated layers are called, as layers/way_names.hpp.
#pragma once

namespace sluice {

constexpr char kDotsWay[] = "dots";
constexpr char kLanesWay[] = "lanes";
constexpr char kHybridWay[] = "hybrid";
constexpr char kAllWay[] = "all";
constexpr char kWinogradDotsWay[] = "winograd-dots";

}  // namespace sluice
