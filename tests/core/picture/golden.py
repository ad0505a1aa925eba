# Makes golden.hpp: what Pillow's operations give for noisy pictures (run: python3 golden.py >golden.hpp, with Pillow 9 or newer).
import textwrap

from PIL import Image, ImageEnhance, ImageOps


def mixed(number):
    number = (number + 1) * 0x9E3779B97F4A7C15 % 2**64
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    return number >> 56


# Blocks of 5 x 7 pixels with noise on them.
def noise(height, width, channels):
    data = bytes((3 * mixed(((y // 5) * 64 + x // 7) * 4 + c) + mixed(((y * width) + x) * channels + c)) // 4
                 for y in range(height) for x in range(width) for c in range(channels))
    return Image.frombytes("RGB" if channels == 3 else "L", (width, height), data)


def show(name, image):
    text = textwrap.wrap(image.tobytes().hex(), 100)
    print(f"inline const char {name}[] =")
    print("\n".join(f'    "{line}"' for line in text) + ";")


def turned(image, turn):
    hue, saturation, value = image.convert("HSV").split()
    hue = hue.point(lambda h: (h + int(turn * 255)) % 256)
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


print("// Made by golden.py: bytes in hexadecimal digits.\n#pragma once\n\nnamespace sluice::golden {\n")
bilinear = Image.Resampling.BILINEAR
show("kSmaller", noise(29, 37, 3).resize((11, 9), bilinear))
show("kLarger", noise(5, 4, 1).resize((17, 13), bilinear))
show("kMuchSmaller", noise(100, 80, 3).resize((6, 7), bilinear))
show("kMixed", noise(40, 3, 3).resize((9, 4), bilinear))
show("kPart", noise(29, 37, 3).crop((5, 3, 30, 20)).resize((8, 8), bilinear))
small = noise(5, 6, 3)
show("kBright", ImageEnhance.Brightness(small).enhance(1.3))
show("kDark", ImageEnhance.Brightness(small).enhance(0.4))
show("kContrast", ImageEnhance.Contrast(small).enhance(1.7))
show("kSaturation", ImageEnhance.Color(small).enhance(0.3))
show("kSharpness", ImageEnhance.Sharpness(small).enhance(1.8))
show("kSmooth", ImageEnhance.Sharpness(small).enhance(0))
show("kHue", turned(small, 0.2))
show("kHueBack", turned(small, -0.4))
show("kPosterized", ImageOps.posterize(small, 3))
show("kSolarized", ImageOps.solarize(small, 100))
dull = small.point(lambda v: 40 + v // 2)
show("kStretched", ImageOps.autocontrast(dull))
show("kEqualized", ImageOps.equalize(noise(30, 20, 3).point(lambda v: v // 3)))
show("kGrey", small.convert("L"))
print("\n}  // namespace sluice::golden")
