// The parts of a convolution that skips closed outputs (gating/skip/skip_conv.hpp), built once for each instruction set
// and chosen at run time.
//
// The work is cut into tiles: the same rows of some images. A tile's source is copied to a patch: pixel by pixel with
// all channels, zeros around the image, so that everything behind it is sums without borders. The patch and the weights
// consist of units of 4 bytes (SkipUnits); sums of whole numbers are exact. Results are collected in fp32, pixel by
// pixel too. Output channels are taken in vectors of the processor's own size; for each vector and pixel there is a
// word with a bit for each lane whose gate is open.
#pragma once

#include <cstdint>

#include "core/base/bfloat16.hpp"
#include "core/base/cpu.hpp"
#include "layers/kernels/patch_shape.hpp"
#include "layers/kernels/quantize_kernels.hpp"

namespace sluice {

/// What a unit is.
enum class SkipUnits {
  kFloats,  ///< one channel in fp32
  kInt8,    ///< four channels: 0 to 127, times signed bytes
  /// Two channels in 16 bits, of precision gating: a pixel has the levels with their high bits alone, then the levels.
  /// Products of the latter replace those of the former where a gate is open.
  kLevels,
  /// The same with four channels in bytes: 0 to 127, times signed bytes.
  kLevelBytes
};

/// The number of a pixel of the result in its tile.
using SkipPixel = std::uint16_t;

/// Sizes that all tiles of a convolution share. Pitches are in units.
struct SkipShape : PatchShape {
  // The patch, whose pitch is a multiple of a vector, or no more than the units.
  std::int64_t units = 0;     ///< of a pixel's channels
  std::int64_t repeated = 0;  ///< the first units stand once more behind the last one; then come zeros
  /// The source channel of each place in the units, -1: zero; null: the channels as they are, zeros behind them.
  const std::int32_t* order = nullptr;
  /// `order` is as many perfect shuffles (each takes channels in turns from the two halves) of at most kMostShuffled
  /// channels, whose halves are whole vectors of kShuffledInt8 or lanes; 0: it is none.
  std::int32_t shuffles = 0;
  static constexpr std::int64_t kMostShuffled = 1024, kShuffledInt8 = 16;
  float src_factor = 0;  ///< levels of int8 are the source times this, rounded to 0 to 127
  // Where lanes of a vector read units of their own (SkipRange).
  std::int64_t src_chunk = 0, dst_chunk = 0;
  std::int32_t lane_units[16] = {};  ///< how far behind that of lane 0 each one's is
  std::int32_t wrap = -1;  ///< behind the last unit comes the first: one less than a power of two units, or -1
  // The results.
  std::int64_t dst_pitch = 0;
  std::int64_t together = 0;  ///< of kLevelBytes: LevelOperands (layers/kernels/level_sums.hpp)
};

/// Memory of one vector of channels that is needed soon, pixel by pixel: the processor may fetch it while it
/// multiplies.
struct SkipAhead {
  const char* src = nullptr;  ///< of the next tile; null: unknown
  const char* dst = nullptr;  ///< of this one
  std::int64_t src_pitch = 0, dst_pitch = 0;
};

/// Which part of a batch a tile is, and its memory.
struct SkipTile {
  std::int64_t image = 0, images = 0;       ///< first and number
  std::int64_t row = 0, rows = 0;           ///< of the result
  std::int64_t vector = 0, end_vector = 0;  ///< of output channels
  std::int64_t pixels = 0;                  ///< of the result, in all images
  const std::int32_t* taps = nullptr;       ///< by pixel: where its first tap is in the patch
  void* patch = nullptr;                    ///< units
  float* sums = nullptr;                    ///< [pixel][dst_pitch]: base products, then with what is open
  void* open = nullptr;                     ///< [vector][pixel], words
  void* single = nullptr;                   ///< the same, of what is added one by one
  bool streams = false;                     ///< results in fp32, whole cache lines, go past the caches: they do not fit
  SkipAhead ahead;
};

/// Consecutive units of the patch, read by all lanes of a vector. In a spread vector, lane l reads the unit that is
/// l / dst_chunk * src_chunk behind (SkipShape::lane_units). In a vector in quads (16 lanes, a spread vector's range as
/// long as a src_chunk, four units of all chunks together), lane l reads unit l % 4, then in steps 1 to src_chunk - 1
/// unit (l % 4) ^ step, for the output in lane quad_output(l, src_chunk).
struct SkipRange {
  std::int32_t begin = 0, count = 0;
};

/// One vector of outputs over some ranges: weights [tap][unit of a range][lane].
struct SkipVector {
  const SkipRange* ranges = nullptr;
  std::int64_t range_count = 0, units = 0;  ///< units: of all ranges
  bool spread = false, quads = false;
  const void* weights = nullptr;
};

/// The output that lane `lane` of a vector in quads is.
constexpr int quad_output(int lane, int src_chunk) {
  const int quad = lane / 4, unit = lane % 4;
  return unit / src_chunk * 4 * src_chunk + quad * src_chunk + unit % src_chunk;
}

/// Pixels side by side go faster: `columns` of each row, from the first on, a multiple of kRun, and then a list.
struct SkipPixels {
  static constexpr int kRun = 8;
  std::int64_t columns = 0;
  const SkipPixel* list = nullptr;
  std::int64_t count = 0;
};

/// One output over vectors of the patch, which are `offsets` behind a pixel's first tap: weights [vector][lane].
struct SkipDot {
  const std::uint32_t* offsets = nullptr;
  std::int64_t vectors = 0;
  const void* weights = nullptr;
};

/// What decides and what a result becomes, by output channel up to whole vectors (gating/skip/skip_conv.hpp).
struct SkipEnding {
  const float* limit = nullptr;
  const float* slope = nullptr;
  const float* open_scale = nullptr;
  const float* open_shift = nullptr;
  const float* closed_scale = nullptr;
  const float* closed_shift = nullptr;
  bool differ = false;     ///< what is closed from what is open
  float addend_scale = 1;  ///< a result is in levels where it goes in int8, and an addend where it comes in them
  float low = 0, high = 0;
  LevelRange levels;  ///< of a result in levels of the next layer (SkipLevelEdges)
};

/// Where results go at once, without sums: at the tile's first pixel, one pixel dst_block behind the other. Both are in
/// fp32, or in int8 where products are of kInt8.
struct SkipDirect {
  void* dst = nullptr;
  const void* addend = nullptr;  ///< or null
};

/// Makes the patch. A source in int8 has one of int8 alone, which are copied.
template <class T>
struct SkipLoads {
  void (*floats)(const SkipShape&, const SkipTile&, const T* src);
  void (*int8)(const SkipShape&, const SkipTile&, const T* src);
};

/// Of SkipUnits::kLevels and kLevelBytes.
struct SkipLevelEdges {
  /// Makes the patch; `step` is that of QuantizeKernels::split. Returns whether there is a NaN, whose levels are 0.
  bool (*split)(const SkipShape&, const SkipTile&, LevelRange, float step, const float* src);
  /// The same of a source in levels, where a NaN is kNoLevel.
  bool (*split_bytes)(const SkipShape&, const SkipTile&, float step, const std::uint8_t* src);
  /// Scales, adds, clips and stores the results as levels of the next layer, or kNoLevel.
  void (*store)(const SkipShape&, const SkipTile&, const SkipEnding&, const float* addend, std::uint8_t* dst);
};

/// Scales, adds, clips and stores the results: of open outputs what is `given`, unless it is null. For an addend of the
/// result's type, and for one of the two in int8 and the other in fp32.
template <class T, class A>
using SkipStore = void (*)(const SkipShape&, const SkipTile&, const SkipEnding&, const T* given, const A* addend,
                           T* dst);

struct SkipProducts {
  /// Writes the products of a vector of outputs; if `conditional`, adds them where gates are open (or writes, of
  /// levels; so below).
  void (*multiply)(const SkipShape&, const SkipTile&, std::int64_t vector, const SkipVector&, const SkipPixels&,
                   bool conditional);
  /// Adds the products of one output for listed pixels. The same bits whatever the list.
  void (*dot)(const SkipShape&, const SkipTile&, std::int64_t channel, const SkipDot&, const SkipPixel* list,
              std::int64_t count);
  // Results that go where they belong at once:
  /// Writes a vector of outputs as if all of them were closed, and opens gates.
  void (*finish_closed)(const SkipShape&, const SkipTile&, const SkipEnding&, std::int64_t vector, const SkipVector&,
                        const SkipPixels&, const SkipDirect&);
  /// Writes one output for listed pixels, where it is open; `dot` is over both paths' inputs (all levels, where there
  /// are such).
  void (*finish_open)(const SkipShape&, const SkipTile&, const SkipEnding&, std::int64_t channel, const SkipDot&,
                      const SkipPixel* list, std::int64_t count, const SkipDirect&);
};

struct SkipKernels {
  /// Lanes of a vector, and bytes of a word.
  std::int64_t lanes, word;
  /// Opens gates from base products; returns how many. `shared`: how many vectors decide together, 0: each output by
  /// itself.
  std::int64_t (*decide)(const SkipShape&, const SkipTile&, const SkipEnding&, std::int64_t shared);
  /// Lists the pixels where at least `lanes_from` gates of a vector are open; the words of others are `single`. Returns
  /// how many there are.
  std::int64_t (*split)(const SkipTile&, std::int64_t vector, int lanes_from, SkipPixel* list);
  /// By lane of a vector, the pixels whose bit is set in `words`: one list behind the other, with `ends`. Writes up to
  /// 32 numbers behind them.
  void (*list)(const SkipTile&, std::int64_t vector, const void* words, SkipPixel* lists, std::int32_t* ends);
};

template <class T>
const SkipLoads<T>& skip_loads(Isa isa = cpu_isa());
template <class T, class A>
SkipStore<T, A> skip_store(Isa isa = cpu_isa());
const SkipKernels& skip_kernels(Isa isa = cpu_isa());
const SkipProducts& skip_products(SkipUnits units, Isa isa = cpu_isa());
const SkipLevelEdges& skip_level_edges(SkipUnits units, Isa isa = cpu_isa());

}  // namespace sluice
