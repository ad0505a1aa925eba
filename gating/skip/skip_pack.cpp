// Weights of a convolution that skips, as its kernels take them.
#include <cmath>

#include "core/base/parallel.hpp"
#include "gating/skip/skip_tiling.hpp"
#include "layers/int8_convolution.hpp"

namespace sluice {
namespace {

/// By output, the scale of its weights in int8: -127 to 127 for the largest one.
void find_scales(const SkipTiling& tiling, const float* weights, float* scales) {
  const SkipShape& s = tiling.shape;
  const std::int64_t size = s.src_channels * s.kernel * s.kernel;
  for (std::int64_t o = 0; o < s.dst_channels; ++o) scales[o] = int8_scale(weights + o * size, size);
}

/// Which weights are meant: those of one path, or all.
enum class Path { kBase, kConditional, kBoth };

/// Puts weights into units.
class UnitWriter {
 public:
  UnitWriter(const SkipTiling& tiling, const float* weights, const float* scales)
      : tiling_(tiling), weights_(weights), scales_(scales) {}

  /// The weights of one output and tap in a unit of the patch as far as they are meant, else zeros.
  void put(std::int64_t o, std::int64_t tap, std::int64_t unit, Path path, void* to) const {
    const SkipShape& s = tiling_.shape;
    for (std::int64_t place = 0; place < tiling_.places; ++place) {
      const bool inside = o < s.dst_channels && unit < s.units;
      const std::int64_t input = inside ? tiling_.inputs[static_cast<std::size_t>(unit * tiling_.places + place)] : -1;
      const bool used = input >= 0 && (path == Path::kBoth || tiling_.is_base(o, input) == (path == Path::kBase));
      const std::int64_t at = (o * s.src_channels + input % s.src_channels) * s.kernel * s.kernel + tap;
      const float w = used ? weights_[at] : 0.0F;
      switch (tiling_.kind) {
        case SkipUnits::kFloats:
          *static_cast<float*>(to) = w;
          break;
        case SkipUnits::kInt8:
          static_cast<std::int8_t*>(to)[place] = static_cast<std::int8_t>(used ? int8_level(w, scales_[o]) : 0.0F);
          break;
        case SkipUnits::kLevelBytes:
          static_cast<std::int8_t*>(to)[place] = static_cast<std::int8_t>(std::isnan(w) ? 0.0F : w);
          break;
        case SkipUnits::kLevels:
          static_cast<std::int16_t*>(to)[place] = static_cast<std::int16_t>(std::isnan(w) ? 0.0F : w);
          break;
      }
    }
  }

 private:
  const SkipTiling& tiling_;
  const float* weights_;
  const float* scales_;  ///< by output; of int8 alone
};

/// Weights of whole vectors of outputs, [tap][unit of the ranges][lane].
void pack_vectors(const SkipTiling& tiling, const std::vector<SkipVectorWeights>& vectors, Path path,
                  const UnitWriter& writer, float* packed) {
  const SkipShape& s = tiling.shape;
  const std::int64_t lanes = tiling.kernels.lanes;
  parallel_for(tiling.vectors, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t vector = begin; vector < end; ++vector) {
      const SkipVectorWeights& v = vectors[static_cast<std::size_t>(vector)];
      float* to = packed + v.weights;
      for (std::int64_t tap = 0; tap < s.kernel * s.kernel; ++tap) {
        for (std::int64_t r = 0; r < v.range_count; ++r) {
          const SkipRange range = tiling.ranges[static_cast<std::size_t>(v.first_range + r)];
          for (std::int64_t unit = range.begin; unit < range.begin + range.count; ++unit) {
            for (std::int64_t lane = 0; lane < lanes; ++lane) {
              std::int64_t own = unit, output = lane;
              if (v.quads) {
                own = range.begin + (lane % 4 ^ (unit - range.begin));
                output = quad_output(static_cast<int>(lane), static_cast<int>(s.src_chunk));
              } else if (v.spread) {
                own = (unit + lane / s.dst_chunk * s.src_chunk) % s.units;
              }
              writer.put(vector * lanes + output, tap, own, path, to++);
            }
          }
        }
      }
    }
  });
}

/// Base weights as Winograd's kernels take them before they are packed: O x I x 3 x 3, zeros where the path has none.
void write_plain(const SkipWinogradBlocks& p, const UnitWriter& writer, float* plain) {
  constexpr std::int64_t taps = 9, channels = WinogradShape::kBlock;
  const std::int64_t units = channels * p.src_count, first_unit = channels * p.first_src;
  parallel_for(channels * p.count, 1, [&](std::int64_t begin, std::int64_t end) {
    float* to = plain + begin * units * taps;
    for (std::int64_t o = channels * p.first + begin; o < channels * p.first + end; ++o) {
      for (std::int64_t unit = first_unit; unit < first_unit + units; ++unit) {
        for (std::int64_t tap = 0; tap < taps; ++tap) writer.put(o, tap, unit, Path::kBase, to++);
      }
    }
  });
}

/// Weights of outputs one by one, [channel][vector of the patch][lane].
void pack_dots(const SkipTiling& tiling, const SkipDotOutputs& dot, Path path, const UnitWriter& writer,
               float* packed) {
  const SkipShape& s = tiling.shape;
  const std::int64_t lanes = tiling.kernels.lanes;
  parallel_for(dot.end - dot.first, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = dot.first + begin; o < dot.first + end; ++o) {
      float* to = packed + (o - dot.first) * dot.vector_count * lanes;
      for (std::int64_t v = 0; v < dot.vector_count; ++v) {
        const std::int64_t offset = tiling.offsets[static_cast<std::size_t>(dot.first_offset + v)];
        const std::int64_t row = offset / s.row_pitch() / s.dilation;
        for (std::int64_t lane = 0; lane < lanes; ++lane) {
          const std::int64_t at = offset % s.row_pitch() + lane, column = at / s.pitch / s.dilation;
          const bool inside = column < s.kernel;
          writer.put(o, inside ? row * s.kernel + column : 0, inside ? at % s.pitch : s.units, path, to++);
        }
      }
    }
  });
}

}  // namespace

void SkipConv::pack(const Memory& memory, const float* weights, float* packed) const {
  float* const to = packed;
  float* const scales = to + tiling_->weights;
  if (tiling_->int8()) find_scales(*tiling_, weights, scales);
  const UnitWriter writer(*tiling_, weights, scales);
  float* const plain = memory[plain_];
  for (const SkipWinogradBlocks& p : tiling_->winograd) {
    write_plain(p, writer, plain);
    pack_winograd({p.src_count, p.count, false}, plain, to + p.weights, tiling_->isa);
  }
  if (tiling_->transforms_levels()) {
    const SkipShape& s = tiling_->shape;
    pack_level_winograd(tiling_->transforms, s.dst_channels, s.src_channels, weights,
                        reinterpret_cast<std::int32_t*>(to + tiling_->transformed_weights));
  } else if (tiling_->winograd.empty()) {
    pack_vectors(*tiling_, tiling_->base, Path::kBase, writer, to);
  }
  pack_vectors(*tiling_, tiling_->conditional, Path::kConditional, writer, to);
  for (const SkipDotOutputs& dot : tiling_->dots) {
    pack_dots(*tiling_, dot, Path::kConditional, writer, to + dot.weights);
    if (tiling_->whole_dots && !tiling_->levels())
      pack_dots(*tiling_, dot, Path::kBoth, writer, to + dot.whole_weights);
  }
}

}  // namespace sluice
