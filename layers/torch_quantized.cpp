// Quantised layers in PyTorch, by the formulas of layers/quantizer.hpp.
#include "layers/torch.hpp"

namespace sluice {

const TorchDefinition kTorchStraightThrough{R"(
def straight_through(value, x):
    """`value` itself, with the gradient of x."""
    return value.detach() + (x - x.detach())
)",
                                            {}};

namespace {

const TorchDefinition kQuantized{R"(
def in_levels(x, bits, count, scale):
    """Q(x) as whole levels, and what one of them stands for: sign(x) round(min(|x| / scale, 1) count) times
    scale / count; -1 and 1 for one bit; x itself for none. Gradients pass straight through Q, but for several bits not
    where x is 0."""
    if bits == 0:
        return x, 1.0
    if bits == 1:
        return straight_through(((x.clamp(-1, 1) + 1) / 2).round() * 2 - 1, x), 1.0
    unit = scale / count
    levels = ((x / scale).clamp(-1, 1) * count).round()
    return straight_through(levels, torch.where(x == 0, x.detach(), x) / unit), unit


def bipolar_levels(x, bits):
    """2^bits equally spaced numbers from -1 to 1 as odd whole levels, and what one level stands for. Gradients pass within
    [-1, 1]."""
    count = 2**bits - 1
    within = x.clamp(-1, 1)
    return straight_through(((within + 1) * (count / 2)).round() * 2 - count, within * count), 1 / count


class Quantized:
    """What quantised layers have in common: both operands are whole levels, whose products add up exactly."""

    def set_quantizers(self, weight_bits, activation_bits, weight_levels, frozen_scales, image_scales, bipolar=False,
                       weight_clip=0.0):
        self.weight_bits, self.weight_levels, self.weight_clip = weight_bits, weight_levels, weight_clip
        self.activation_bits, self.bipolar = activation_bits, bipolar
        self.frozen_scales, self.image_scales = frozen_scales, image_scales
        self.register_buffer("src_scale", torch.zeros(1))  # a running estimate; 0: none yet

    def weight_in_levels(self):
        scale = self.weight.detach().abs().max() + 1e-7
        weight = self.weight.clamp(-self.weight_clip, self.weight_clip) if self.weight_clip else self.weight
        levels, unit = in_levels(weight, self.weight_bits, self.weight_levels, scale)
        return levels, unit / self.weight[0].numel() ** 0.5 if self.weight_bits == 1 else unit

    def source_in_levels(self, x):
        if self.bipolar:
            return bipolar_levels(x, self.activation_bits)
        scale = x.detach().abs().max() + 1e-7  # of the whole batch
        if self.image_scales:
            scale = x.detach().abs().amax(tuple(range(1, x.dim())), keepdim=True) + 1e-7
        elif self.activation_bits > 1 and self.training:
            estimate = torch.where(self.src_scale > 0, 0.9 * self.src_scale + 0.1 * scale, scale)
            self.src_scale.copy_(estimate)
        elif self.activation_bits > 1 and self.frozen_scales:
            scale = torch.where(self.src_scale > 0, self.src_scale, scale)
        return in_levels(x, self.activation_bits, 2**self.activation_bits - 1, scale)
)",
                                 {&kTorchStraightThrough}};

const TorchDefinition kQuantizedLinear{R"(
class QuantizedLinear(Quantized, nn.Linear):
    """A linear layer of quantised weights and source."""

    def __init__(self, in_features, out_features, bias=True, weight_bits=8, activation_bits=8, weight_levels=255,
                 frozen_scales=True, image_scales=False):
        super().__init__(in_features, out_features, bias)
        self.set_quantizers(weight_bits, activation_bits, weight_levels, frozen_scales, image_scales)

    def forward(self, x):
        (x, unit), (weight, weight_unit) = self.source_in_levels(x), self.weight_in_levels()
        y = F.linear(x, weight) * (unit * weight_unit)
        return y if self.bias is None else y + self.bias
)",
                                       {&kQuantized}};

void add_quantizers(const PortableLayer& layer, TorchArguments& arguments) {
  arguments.push_back({"weight_bits", torch_text(layer.whole("weight_bits")), "8"});
  arguments.push_back({"activation_bits", torch_text(layer.whole("activation_bits")), "8"});
  arguments.push_back({"weight_levels", torch_text(layer.whole("weight_levels")), "255"});
  arguments.push_back({"frozen_scales", torch_text(layer.flag("frozen_scales")), "True"});
  arguments.push_back({"image_scales", torch_text(layer.flag("image_scales")), "False"});
}

TorchLayer write_quantized_convolution(const PortableLayer& layer) {
  TorchLayer torch{"QuantizedConv2d", torch_quantized_convolution(layer)};
  torch.arguments.push_back({"bias", torch_text(layer.flag("bias")), "False"});
  torch.needs = {&kTorchQuantizedConvolution};
  return torch;
}

TorchLayer write_quantized_linear(const PortableLayer& layer) {
  const Shape weights = layer.shape("weight");
  TorchLayer torch{"QuantizedLinear",
                   {{"in_features", torch_text(weights[1]), ""}, {"out_features", torch_text(weights[0]), ""}}};
  torch.arguments.push_back({"bias", torch_text(layer.flag("bias")), "True"});
  add_quantizers(layer, torch.arguments);
  if (layer.src_shapes[0].rank() != 2) torch.call = "{self}({0}.flatten(1))";
  torch.needs = {&kQuantizedLinear};
  return torch;
}

}  // namespace

const TorchDefinition kTorchQuantizedConvolution{R"(
class QuantizedConv2d(Quantized, nn.Conv2d):
    """A convolution of quantised weights and source."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1,
                 weight_bits=8, activation_bits=8, weight_levels=255, frozen_scales=True, image_scales=False,
                 bipolar=False, weight_clip=0.0, bias=False):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self.set_quantizers(weight_bits, activation_bits, weight_levels, frozen_scales, image_scales, bipolar,
                            weight_clip)

    def product(self, levels, weight):
        return F.conv2d(levels, weight, None, self.stride, self.padding, self.dilation, self.groups)

    def forward(self, x):
        (x, unit), (weight, weight_unit) = self.source_in_levels(x), self.weight_in_levels()
        y = self.product(x, weight) * (unit * weight_unit)
        return y if self.bias is None else y + self.bias.view(-1, 1, 1)
)",
                                                 {&kQuantized}};

TorchArguments torch_quantized_convolution(const PortableLayer& layer) {
  TorchArguments arguments = torch_convolution(layer);
  arguments.push_back({"groups", torch_text(layer.whole("groups")), "1"});
  add_quantizers(layer, arguments);
  arguments.push_back({"bipolar", torch_text(layer.flag("bipolar_source")), "False"});
  arguments.push_back({"weight_clip", torch_text(layer.number("weight_clip")), "0.0"});
  return arguments;
}

void register_quantized_torch_layers(TorchLayers& layers) {
  layers.add("quantized_convolution", write_quantized_convolution);
  layers.add("quantized_linear", write_quantized_linear);
}

}  // namespace sluice
