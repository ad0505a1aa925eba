// Changes of a picture's values, each as Pillow defines it. Pictures have one channel or three; what is about colours
// leaves grey ones alone.
#pragma once

#include <cstdint>

#include "core/picture/picture.hpp"

namespace sluice {

// A factor of 1 changes nothing, 0 takes all of the property away, above 1 there is more of it.
void adjust_brightness(Picture& picture, double factor);
void adjust_contrast(Picture& picture, double factor);
void adjust_saturation(Picture& picture, double factor);
void adjust_sharpness(Picture& picture, double factor, Picture& other);
/// Turns colours by this share of the circle, -0.5 to 0.5.
void adjust_hue(Picture& picture, double turn);

/// Keeps the upper `bits` of each value.
void posterize(Picture& picture, int bits);
/// Inverts values from the threshold on.
void solarize(Picture& picture, double threshold);
/// Spreads the values of each channel over 0 to 255: linearly, or so that all are equally frequent.
void stretch_contrast(Picture& picture);
void equalize(Picture& picture);

}  // namespace sluice
