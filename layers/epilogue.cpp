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
    if (op.kind != PostOp::Kind::kClip) continue;
    low = op.low;
    high = op.high;
  }
}

Ending Epilogue::ending() const {
  if (adds && clips()) return clips_first ? Ending::kClipAdd : Ending::kAddClip;
  if (adds) return Ending::kAdd;
  return clips() ? Ending::kClip : Ending::kNone;
}

EpiloguePass::EpiloguePass(const OpRequest& request, OpNeeds& needs) : epilogue_(request.post_ops) {
  if (epilogue_.empty()) return;
  ones_ = needs.slots.kept<float>(request.dst.shape[kC]);
  zeros_ = needs.slots.kept<float>(request.dst.shape[kC]);
}

template <class T>
void EpiloguePass::run(const Context& c) const {
  if (epilogue_.empty()) return;
  const ChannelGroups groups(c.dst.desc);
  const float *scale = c.affine_scale, *shift = c.affine_shift;
  if (scale == nullptr) {
    std::fill_n(c.memory[ones_], groups.channels, 1.0F);
    std::fill_n(c.memory[zeros_], groups.channels, 0.0F);
    scale = c.memory[ones_];
    shift = c.memory[zeros_];
  }
  const T* const addend = c.addend.as<const T>();
  parallel_for(groups.images * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t group = i % groups.count, at = groups.offset(i / groups.count, group);
      norm_kernels<T>().forward(groups.at(group), epilogue_.ending(), c.dst.as<const T>() + at,
                                addend == nullptr ? nullptr : addend + at, c.dst.as<T>() + at, scale + 16 * group,
                                shift + 16 * group, epilogue_.clip());
    }
  });
}

template void EpiloguePass::run<float>(const Context&) const;
template void EpiloguePass::run<BFloat16>(const Context&) const;

}  // namespace sluice
