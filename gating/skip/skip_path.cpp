#include "gating/skip/skip_path.hpp"

#include <algorithm>

#include "gating/way_names.hpp"
#include "layers/int8_convolution.hpp"
#include "layers/way_names.hpp"

namespace sluice {
namespace {

struct Way {
  const char* name;
  int lanes_from;
  bool transforms = false;
};

/// Shared decisions are open or closed for whole vectors: then there is nothing between skipping them and not.
std::vector<Way> ways_of(const SkipProblem& problem, bool floats) {
  const Granularity granularity = problem.granularity;
  std::vector<Way> ways;
  if (granularity == Granularity::kElement)
    ways = {{kDotsWay, SkipProblem::kNever}, {kHybridWay, std::max(2, SkipConv::lanes() / 2)}};
  ways.insert(ways.end(), {{kLanesWay, 1}, {kAllWay, 0}});
  if (floats) ways.push_back({kDenseWay, SkipProblem::kGiven});
  if (!SkipConv::transforms_levels(problem)) return ways;
  if (granularity == Granularity::kElement) ways.push_back({kWinogradDotsWay, SkipProblem::kNever, true});
  ways.push_back({kWinogradWay, 0, true});
  return ways;
}

void complete(SkipProblem& problem, const OpRequest& request) {
  problem.src = request.src[0];
  problem.dst = request.dst;
  problem.allow_winograd = request.allow_winograd;
  problem.levels.dst_count = request.dst_levels;
  if (problem.levels.count == 0 && request.src[0].type == DataType::kU8) {
    problem.src_scale = request.src[0].scale;
  } else if (problem.levels.count == 0 && request.src_nonnegative[0]) {
    problem.src_scale = static_cast<float>(request.src_range / kMostInt8Level);
  }
  const Epilogue epilogue(request.post_ops);
  if (epilogue.adds) problem.addend = request.addend;
  problem.low = epilogue.bounded ? 0 : epilogue.low;
  problem.high = epilogue.high;
}

}  // namespace

SkipPath::SkipPath(const OpRequest& request, SkipProblem problem, OpNeeds& needs, const Frames& frames)
    : paths_(problem.paths), channels_(problem.geometry.channels), rows_(needs.slots, problem.geometry.channels) {
  complete(problem, request);
  floats_ = problem.levels.count == 0 && problem.src_scale <= 0 && problem.dst.type != DataType::kU8;
  if (floats_) add_whole(request, problem.geometry, needs, frames);
  for (const Way& way : ways_of(problem, floats_)) {
    problem.lanes_from = way.lanes_from;
    problem.transforms_levels = way.transforms;
    SkipConv& conv = ways_.emplace_back(problem);
    Frames own = frames;
    if (conv.takes_products()) whole_products_ = own.forward.book(request.dst);
    conv.book(own.refresh, own.forward);
    needs.alternatives.emplace_back(way.name);
  }
  packed_ = needs.slots.kept<float>(ways_.front().packed_count());
  // Of levels the last way gives the same bits as the first, with fewer multiplications.
  if (ways_.back().transforms()) {
    transformed_ = needs.slots.kept<float>(ways_.back().packed_count());
    needs.alternative = static_cast<int>(ways_.size()) - 1;
  }
  problem.transforms_levels = false;
  if (request.record_decisions) add_recorder(problem, needs, frames);
  needs.kernel = ways_[static_cast<std::size_t>(needs.alternative)].kernel();
}

void SkipPath::add_whole(const OpRequest& request, const ConvGeometry& geometry, OpNeeds& needs, Frames frames) {
  whole_ = ConvForward({geometry, request.src[0], request.dst, request.mode, false, request.allow_winograd, {}});
  whole_weights_ = frames.refresh.book<float>(geometry.weights_shape(request.src[0].shape).count());
  frames.forward.book(request.dst);  // the result stands in front, as it does for the way that takes it
  whole_.book(needs.slots, frames.refresh, frames.forward);
}

void SkipPath::add_recorder(SkipProblem problem, OpNeeds& needs, const Frames& frames) {
  problem.dst.type = DataType::kF32;
  problem.levels.dst_count = 0;
  problem.addend.reset();
  problem.low = 0;
  problem.high = 1;
  recorder_ = SkipConv(problem);
  recorder_.book(frames.refresh, frames.forward);
  needs.decisions = decisions_ = needs.slots.kept<float>(problem.dst.count());
}

/// What is fused behind the layer goes into the scales and shifts: a (s x + t) + b = (a s) x + (a t + b).
void SkipPath::refresh(const Context& c, const float* weights, const GateConstants& gate, const NormPair* norms) {
  const Memory& m = c.memory;
  differ_ = norms != nullptr;
  ways_.front().pack(m, weights, m[packed_]);
  if (ways_.back().transforms()) ways_.back().pack(m, weights, m[transformed_]);
  if (floats_) {
    paths_.unshuffle(weights, m[whole_weights_]);
    whole_.pack(m, m[whole_weights_]);
  }
  std::fill_n(rows_(m, kLimit), kRows * rows_.padded(), 0.0F);
  std::copy_n(gate.limit, channels_, rows_(m, kLimit));
  std::copy_n(gate.slope, channels_, rows_(m, kSlope));
  for (std::int64_t o = 0; o < channels_; ++o) {
    const float a = c.affine_scale == nullptr ? 1.0F : c.affine_scale[o];
    const float b = c.affine_shift == nullptr ? 0.0F : c.affine_shift[o];
    rows_(m, kOpenScale)[o] = norms == nullptr ? a : a * norms->full_scale[o];
    rows_(m, kOpenShift)[o] = norms == nullptr ? b : a * norms->full_shift[o] + b;
    rows_(m, kClosedScale)[o] = norms == nullptr ? a : a * norms->base_scale[o];
    rows_(m, kClosedShift)[o] = norms == nullptr ? b : a * norms->base_shift[o] + b;
    rows_(m, kOne)[o] = 1.0F;
  }
}

std::int64_t SkipPath::forward(const Context& c, float src_scale, float unit) {
  const Memory& m = c.memory;
  SkipConstants constants;
  constants.gate = {rows_(m, kLimit), rows_(m, kSlope)};
  constants.open_scale = rows_(m, kOpenScale);
  constants.open_shift = rows_(m, kOpenShift);
  constants.closed_scale = rows_(m, differ_ ? kClosedScale : kOpenScale);
  constants.closed_shift = rows_(m, differ_ ? kClosedShift : kOpenShift);
  if (c.bound != nullptr) constants.most = *c.bound;
  constants.src_scale = src_scale;
  constants.unit = unit;
  if (c.dst_scale != nullptr) constants.dst_scale = *c.dst_scale;
  if (decisions_) record(c, src_scale, unit);
  SkipConv& way = ways_[static_cast<std::size_t>(c.alternative)];
  const void* given = nullptr;
  if (way.takes_products()) {
    void* const products = m[whole_products_.memory];
    whole_.run(m, c.src[0].data, nullptr, products);
    given = products;
  }
  return way.run(m, c.src[0].data, m[weights_of(way)], constants, c.addend.data, c.dst.data, given);
}

/// With scales of 0 and shifts of 1 and 0 the result is the decision.
void SkipPath::record(const Context& c, float src_scale, float unit) const {
  const Memory& m = c.memory;
  const float* const zero = rows_(m, kZero);
  SkipConstants constants;
  constants.gate = {rows_(m, kLimit), rows_(m, kSlope)};
  constants.open_scale = constants.closed_scale = constants.closed_shift = zero;
  constants.open_shift = rows_(m, kOne);
  constants.src_scale = src_scale;
  constants.unit = unit;
  recorder_.run(m, c.src[0].data, m[packed_], constants, nullptr, m[*decisions_], nullptr);
}

}  // namespace sluice
