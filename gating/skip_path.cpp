#include "gating/skip_path.hpp"

#include <algorithm>

#include "core/base/buffer.hpp"
#include "layers/byte_convolution.hpp"

namespace sluice {
namespace {

struct Way {
  const char* name;
  int lanes_from;
};

/// Shared decisions are open or closed for whole vectors: then there is nothing between skipping them and not.
std::vector<Way> ways_of(Granularity granularity, bool floats) {
  std::vector<Way> ways;
  if (granularity == Granularity::kElement)
    ways = {{"dots", SkipProblem::kNever}, {"hybrid", std::max(2, SkipConv::lanes() / 2)}};
  ways.insert(ways.end(), {{"lanes", 1}, {"all", 0}});
  if (floats) ways.push_back({"dense", SkipProblem::kGiven});
  return ways;
}

SkipProblem problem_of(const Setup& setup, const ConvGeometry& geometry, const PathMask& paths,
                       Granularity granularity) {
  SkipProblem problem;
  problem.geometry = geometry;
  problem.src = setup.src[0];
  problem.dst = setup.dst;
  problem.paths = paths;
  problem.allow_winograd = setup.allow_winograd;
  problem.granularity = granularity;
  if (setup.src[0].type == DataType::kU8) {
    problem.src_step = setup.src[0].step;
  } else if (setup.src_nonnegative[0]) {
    problem.src_step = static_cast<float>(setup.src_range / kMostByteLevel);
  }
  for (const PostOp& op : setup.post_ops) {
    if (op.kind == PostOp::Kind::kAdd) problem.addend = setup.addend;
    if (op.kind != PostOp::Kind::kClip) continue;
    problem.low = op.low;
    problem.high = op.high;
  }
  return problem;
}

}  // namespace

SkipPath::SkipPath(Setup& setup, const ConvGeometry& geometry, const PathMask& paths, Granularity granularity)
    : paths_(paths), channels_(geometry.channels), padded_((geometry.channels + 15) / 16 * 16) {
  SkipProblem problem = problem_of(setup, geometry, paths, granularity);
  floats_ = problem.src_step <= 0 && problem.dst.type != DataType::kU8;
  for (const Way& way : ways_of(granularity, floats_)) {
    problem.lanes_from = way.lanes_from;
    ways_.emplace_back(problem);
    setup.request_scratch(ways_.back().scratch_bytes());
    setup.alternatives.emplace_back(way.name);
  }
  packed_ = setup.request_kept(ways_.front().packed_bytes());
  if (floats_) set_up_whole(setup, geometry);
  constants_ = setup.request_kept(kArrays * padded_ * 4);
  if (setup.record_decisions) {
    problem.dst.type = DataType::kF32;
    problem.addend.reset();
    problem.low = 0;
    problem.high = 1;
    recorder_ = SkipConv(problem);
    setup.request_scratch(recorder_.scratch_bytes());
    setup.decisions = decisions_ = setup.request_kept(setup.dst.count() * 4);
  }
  setup.kernel = ways_.front().kernel();
}

void SkipPath::set_up_whole(Setup& setup, const ConvGeometry& geometry) {
  whole_ = ConvForward({geometry, setup.src[0], setup.dst, setup.mode, false, setup.allow_winograd, {}});
  whole_packed_ = setup.request_kept(whole_.weights().bytes());
  whole_bytes_ = align_up(setup.dst.bytes());
  weight_bytes_ = align_up(geometry.weights_shape(setup.src[0].shape).count() * 4);
  setup.request_scratch(weight_bytes_ + whole_.weights().scratch_bytes());
  setup.request_scratch(whole_bytes_ + std::max(whole_.scratch_bytes(), ways_.back().scratch_bytes()));
}

/// What is fused behind the layer goes into the scales and shifts: a (s x + t) + b = (a s) x + (a t + b).
void SkipPath::refresh(Context& c, const float* weights, const GateConstants& gate, const NormPair* norms) {
  differ_ = norms != nullptr;
  ways_.front().pack(weights, kept(c, packed_), c.scratch);
  if (floats_) {
    float* const whole = static_cast<float*>(c.scratch);
    paths_.unshuffle(weights, whole);
    whole_.weights().pack(whole, kept(c, whole_packed_), static_cast<char*>(c.scratch) + weight_bytes_);
  }
  std::fill_n(array(c, kLimit), kArrays * padded_, 0.0F);
  std::copy_n(gate.limit, channels_, array(c, kLimit));
  std::copy_n(gate.slope, channels_, array(c, kSlope));
  for (std::int64_t o = 0; o < channels_; ++o) {
    const float a = c.affine_scale == nullptr ? 1.0F : c.affine_scale[o];
    const float b = c.affine_shift == nullptr ? 0.0F : c.affine_shift[o];
    array(c, kOpenScale)[o] = norms == nullptr ? a : a * norms->full_scale[o];
    array(c, kOpenShift)[o] = norms == nullptr ? b : a * norms->full_shift[o] + b;
    array(c, kClosedScale)[o] = norms == nullptr ? a : a * norms->base_scale[o];
    array(c, kClosedShift)[o] = norms == nullptr ? b : a * norms->base_shift[o] + b;
    array(c, kOne)[o] = 1.0F;
  }
}

std::int64_t SkipPath::forward(Context& c) {
  const SkipConstants constants = {{array(c, kLimit), array(c, kSlope)},
                                   array(c, kOpenScale),
                                   array(c, kOpenShift),
                                   array(c, differ_ ? kClosedScale : kOpenScale),
                                   array(c, differ_ ? kClosedShift : kOpenShift)};
  if (decisions_) record(c);
  const auto way = static_cast<std::size_t>(c.alternative);
  const bool given = ways_[way].takes_products();
  char* const rest = static_cast<char*>(c.scratch) + (given ? whole_bytes_ : 0);
  if (given) whole_.run(c.src[0].data, kept(c, whole_packed_), nullptr, c.scratch, rest);
  return ways_[way].run(c.src[0].data, kept(c, packed_), constants, c.addend.data, c.dst.data, rest,
                        given ? c.scratch : nullptr);
}

/// With scales of 0 and shifts of 1 and 0 the result is the decision.
void SkipPath::record(Context& c) const {
  const float* const zero = array(c, kZero);
  const SkipConstants constants = {{array(c, kLimit), array(c, kSlope)}, zero, array(c, kOne), zero, zero};
  recorder_.run(c.src[0].data, kept(c, packed_), constants, nullptr, kept(c, *decisions_), c.scratch);
}

}  // namespace sluice
