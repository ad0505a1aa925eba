#include "layers/patch_shape.hpp"

namespace sluice {

PatchShape patch_shape(const ConvGeometry& geometry, const TensorDesc& src, const TensorDesc& dst) {
  PatchShape patch;
  patch.src_channels = src.shape[kC];
  patch.src_height = src.shape[kH];
  patch.src_width = src.shape[kW];
  patch.src_block = src.block;
  patch.dst_channels = dst.shape[kC];
  patch.dst_height = dst.shape[kH];
  patch.dst_width = dst.shape[kW];
  patch.dst_block = dst.block;
  patch.kernel = geometry.kernel;
  patch.stride = geometry.stride;
  patch.dilation = geometry.dilation;
  patch.pad = geometry.pad;
  patch.columns = (dst.shape[kW] - 1) * geometry.stride + geometry.dilation * (geometry.kernel - 1) + 1;
  return patch;
}

}  // namespace sluice
