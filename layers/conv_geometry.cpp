#include "layers/conv_geometry.hpp"

#include "core/base/error.hpp"

namespace sluice {

void ConvGeometry::describe(Keys& keys) {
  keys.required("channels", channels, at_least(std::int64_t{1}), "number of output channels");
  keys.required("kernel", kernel, at_least(std::int64_t{1}), "height and width of the filters");
  keys.optional("stride", stride, at_least(std::int64_t{1}), "step from one output pixel to the next");
  keys.optional("pad", pad, at_least(std::int64_t{0}), "zeros around the image on each side");
  keys.optional("dilation", dilation, at_least(std::int64_t{1}), "distance between the filter's taps");
  keys.optional("groups", groups, at_least(std::int64_t{1}), "split channels into this many independent convolutions");
}

void ConvGeometry::describe(Attributes& attributes) const {
  attributes.set("channels", channels);
  attributes.set("kernel", kernel);
  attributes.set("stride", stride);
  attributes.set("pad", pad);
  attributes.set("dilation", dilation);
  attributes.set("groups", groups);
}

Shape ConvGeometry::dst_shape(const Shape& src) const {
  if (src.rank() != 4) throw ShapeError("", concat("expected an image N x C x H x W, got ", to_string(src)));
  if (src[kC] % groups != 0 || channels % groups != 0) {
    throw ShapeError("groups", concat("groups = ", groups, " must divide both ", src[kC], " input and ", channels,
                                      " output channels"));
  }
  const std::int64_t window = dilation * (kernel - 1) + 1;
  if (window > src[kH] + 2 * pad || window > src[kW] + 2 * pad) {
    throw ShapeError("kernel", concat("the filter covers ", window,
                                      " pixels (dilation x (kernel - 1) + 1) but the padded image has only ",
                                      src[kH] + 2 * pad, "x", src[kW] + 2 * pad));
  }
  return {src[kN], channels, (src[kH] + 2 * pad - window) / stride + 1, (src[kW] + 2 * pad - window) / stride + 1};
}

std::int64_t ConvGeometry::macs(const Shape& src) const {
  const Shape dst = dst_shape(src);
  return dst[kC] * dst[kH] * dst[kW] * (src[kC] / groups) * kernel * kernel;
}

}  // namespace sluice
