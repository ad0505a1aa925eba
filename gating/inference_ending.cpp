#include "gating/inference_ending.hpp"

#include <algorithm>

#include "core/base/parallel.hpp"
#include "layers/channel_groups.hpp"

namespace sluice {

InferenceEnding::InferenceEnding(Setup& setup) : empty_(setup.post_ops.empty()) {
  for (const PostOp& op : setup.post_ops) {
    if (op.kind == PostOp::Kind::kAdd) ending_ = Ending::kAdd;
    if (op.kind != PostOp::Kind::kClip) continue;
    ending_ = ending_ == Ending::kAdd ? Ending::kAddClip : Ending::kClip;
    clip_ = {op.low, op.high};
  }
  if (!empty_) numbers_ = setup.request_kept(2 * setup.dst.shape[kC] * 4);
}

void InferenceEnding::run(Context& c) const {
  if (empty_) return;
  if (c.dst.desc.type == DataType::kBF16) return run_as<BFloat16>(c);
  run_as<float>(c);
}

template <class T>
void InferenceEnding::run_as(Context& c) const {
  const ChannelGroups groups(c.dst.desc);
  const float *scale = c.affine_scale, *shift = c.affine_shift;
  if (scale == nullptr) {
    float* const numbers = static_cast<float*>(c.kept[static_cast<std::size_t>(numbers_)]);
    std::fill_n(numbers, groups.channels, 1.0F);
    std::fill_n(numbers + groups.channels, groups.channels, 0.0F);
    scale = numbers;
    shift = numbers + groups.channels;
  }
  const T* const addend = c.addend.as<const T>();
  parallel_for(groups.images * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t group = i % groups.count, at = groups.offset(i / groups.count, group);
      norm_kernels<T>().forward(groups.at(group), ending_, c.dst.as<const T>() + at,
                                addend == nullptr ? nullptr : addend + at, c.dst.as<T>() + at, scale + 16 * group,
                                shift + 16 * group, clip_);
    }
  });
}

}  // namespace sluice
