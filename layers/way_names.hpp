// What the ways of a layer (OpNeeds::alternatives) are called in plans, files and tables; docs/glossary.md says what
// each of them is.
#pragma once

namespace sluice {

constexpr char kDenseWay[] = "dense";
constexpr char kFloatWay[] = "fp32";
constexpr char kInt8Way[] = "int8";
constexpr char kInt8ProductWay[] = "int8-product";
constexpr char kChannelsWay[] = "channels";
constexpr char kInt8ChannelsWay[] = "int8-channels";
constexpr char kDirectWay[] = "direct";
constexpr char kWinogradWay[] = "winograd";

}  // namespace sluice
