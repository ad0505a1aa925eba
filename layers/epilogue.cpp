#include "layers/epilogue.hpp"

#include <algorithm>

#include "core/base/parallel.hpp"
#include "layers/channel_groups.hpp"

namespace sluice {

Epilogue::Epilogue(const std::vector<PostOp>& ops) {
  for (const PostOp& op : ops) {
    if (op.kind == PostOp::Kind::kAffine) affine = true;
    if (op.kind == PostOp::Kind::kAdd) {
      clips_first = clips();
      adds = true;
    }
    if (op.kind == PostOp::Kind::kBound) bounded = true;
    if (op.kind != PostOp::Kind::kClip) continue;
    low = op.low;
    high = op.high;
  }
}

Ending Epilogue::ending() const {
  const bool ends = clips() || bounded;
  if (adds && ends) return clips_first ? Ending::kClipAdd : Ending::kAddClip;
  if (adds) return Ending::kAdd;
  return ends ? Ending::kClip : Ending::kNone;
}

EpiloguePass::EpiloguePass(const OpRequest& request, OpNeeds& needs) : epilogue_(request.post_ops) {
  if (epilogue_.empty()) return;
  ones_ = needs.slots.kept<float>(request.dst.shape[kC]);
  zeros_ = needs.slots.kept<float>(request.dst.shape[kC]);
}

template <class T>
void EpiloguePass::run(const Context& c) const {
  if (epilogue_.empty()) return;
  if (c.affine_scale != nullptr) return run<T>(c, c.affine_scale, c.affine_shift);
  const std::int64_t channels = c.dst.desc.shape[kC];
  std::fill_n(c.memory[ones_], channels, 1.0F);
  std::fill_n(c.memory[zeros_], channels, 0.0F);
  run<T>(c, c.memory[ones_], c.memory[zeros_]);
}

template <class T>
void EpiloguePass::run(const Context& c, const float* scale, const float* shift) const {
  const ChannelGroups groups(c.dst.desc);
  const T* const addend = c.addend.as<const T>();
  parallel_for(groups.images * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t group = i % groups.count, at = groups.offset(i / groups.count, group);
      norm_kernels<T>().forward(groups.at(group), epilogue_.ending(), c.dst.as<const T>() + at,
                                addend == nullptr ? nullptr : addend + at, c.dst.as<T>() + at, scale + 16 * group,
                                shift + 16 * group, epilogue_.clip(c.bound));
    }
  });
}

template void EpiloguePass::run<float>(const Context&) const;
template void EpiloguePass::run<BFloat16>(const Context&) const;
template void EpiloguePass::run<float>(const Context&, const float*, const float*) const;
template void EpiloguePass::run<BFloat16>(const Context&, const float*, const float*) const;

}  // namespace sluice
