#include "gating/torch.hpp"

#include "layers/torch.hpp"

namespace sluice {
namespace {

const TorchDefinition kOpenGates{R"(
def open_gates(score, alpha, sparse_backprop, granularity):
    """1 where the score is above 0, else 0, with the gradient of sigmoid(alpha * score) (with sparse_backprop none where
    the score is below 0). Outputs that share a decision, 16 channels of a pixel ("slice"), all ("pixel"), or all pixels of
    a channel ("channel"), go by the mean of their scores."""
    if granularity == "channel":
        score = score.mean((2, 3), keepdim=True).expand_as(score)
    elif granularity != "element":
        width = 16 if granularity == "slice" else score.shape[1]
        score = torch.cat([part.mean(1, keepdim=True).expand_as(part) for part in score.split(width, 1)], 1)
    slope = torch.sigmoid(alpha * score)
    if sparse_backprop:
        slope = torch.where(score < 0, slope.detach(), slope)
    return straight_through((score > 0).to(score.dtype), slope)
)",
                                 {&kTorchStraightThrough}};

const TorchDefinition kChannelGated{R"(
class CGConv2d(nn.Conv2d):
    """Channel-gated convolution (Hua et al., NeurIPS 2019, arXiv 1805.12549). The base path reads a part of the inputs;
    where its normalised result is above a learned threshold, the rest is added. `gates` are the last decisions.
    Training adds a loss that pulls thresholds to a target: 1e-4 * (threshold - target).square().sum()."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, partitions=4,
                 own_chunk=False, shuffle=False, alpha=2.0, sparse_backprop=False, granularity="element", eps=1e-5,
                 momentum=0.1):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, bias=False)
        self.shuffle_groups = partitions if shuffle else 1
        self.gate = alpha, sparse_backprop, granularity
        self.threshold = nn.Parameter(torch.zeros(out_channels))
        self.bn = nn.BatchNorm2d(out_channels, eps, momentum, affine=False)
        inputs, outputs = in_channels // partitions, out_channels // partitions
        base = torch.zeros(out_channels, in_channels, 1, 1)
        if own_chunk:  # output chunk i reads input chunk i
            for i in range(partitions):
                base[i * outputs : (i + 1) * outputs, i * inputs : (i + 1) * inputs] = 1
        else:
            base[:, :inputs] = 1
        self.register_buffer("base_mask", base, persistent=False)
        self.gates = None

    def product(self, x, weight):
        return F.conv2d(x, weight, None, self.stride, self.padding, self.dilation)

    def paths(self, x):
        """Base path, the same normalised, the rest, and where gates are open."""
        if self.shuffle_groups > 1:
            x = x.unflatten(1, (self.shuffle_groups, -1)).transpose(1, 2).flatten(1, 2)
        base = self.product(x, self.weight * self.base_mask)
        rest = self.product(x, self.weight * (1 - self.base_mask))
        normalised = self.bn(base)
        gates = open_gates(normalised - self.threshold.view(-1, 1, 1), *self.gate)
        self.gates = gates.detach()
        return base, normalised, rest, gates

    def forward(self, x):
        base, _, rest, gates = self.paths(x)
        return base + gates * rest
)",
                                    {&kOpenGates}};

const TorchDefinition kTwoNorms{R"(
class TwoNormsCGConv2d(CGConv2d):
    """A CGConv2d whose open outputs and whose closed ones have a batch normalisation each, with statistics over all."""

    def __init__(self, in_channels, out_channels, *arguments, **options):
        super().__init__(in_channels, out_channels, *arguments, **options)
        for path in ("full", "base"):
            self.register_parameter(f"{path}_weight", nn.Parameter(torch.ones(out_channels)))
            self.register_parameter(f"{path}_bias", nn.Parameter(torch.zeros(out_channels)))
        self.register_buffer("full_running_mean", torch.zeros(out_channels))
        self.register_buffer("full_running_var", torch.ones(out_channels))

    def forward(self, x):
        base, normalised, rest, gates = self.paths(x)
        full = F.batch_norm(base + rest, self.full_running_mean, self.full_running_var, self.full_weight, self.full_bias,
                            self.training, self.bn.momentum, self.bn.eps)
        base = normalised * self.base_weight.view(-1, 1, 1) + self.base_bias.view(-1, 1, 1)
        return gates * full + (1 - gates) * base
)",
                                {&kChannelGated}};

const TorchDefinition kPrecisionGated{R"(
class PGConv2d(QuantizedConv2d):
    """Precision-gated convolution (Zhang et al., ICLR 2020, arXiv 2002.07136). Where the product with the highest
    prediction_bits of the source's activation_bits is above a learned threshold, the low bits' product is added. `gates`
    are the last decisions. Training adds a loss that pulls thresholds to a target: 1e-3 * (threshold - target).norm()."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1,
                 weight_bits=8, activation_bits=8, weight_levels=255, frozen_scales=True, image_scales=False,
                 bipolar=False, weight_clip=0.0, prediction_bits=2, alpha=5.0, sparse_backprop=False,
                 granularity="element", threshold_clip=0.0):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, weight_bits,
                         activation_bits, weight_levels, frozen_scales, image_scales, bipolar, weight_clip)
        self.step = 2 ** (activation_bits - prediction_bits)
        self.gate = alpha, sparse_backprop, granularity
        self.threshold_clip = threshold_clip or float("inf")  # thresholds further from 0 count as this far
        self.threshold = nn.Parameter(torch.zeros(out_channels))
        self.gates = None

    def high_bits(self, levels):
        if not self.bipolar:
            return (levels.abs() / self.step).floor() * self.step * levels.sign()
        count = 2**self.activation_bits - 1  # the middle of the levels that agree in the high bits of their number
        return ((levels + count) / (2 * self.step)).floor() * (2 * self.step) + (self.step - 1 - count)

    def forward(self, x):
        (x, unit), (weight, weight_unit) = self.source_in_levels(x), self.weight_in_levels()
        high = straight_through(self.high_bits(x), x)
        base = self.product(high, weight) * (unit * weight_unit)
        rest = self.product((x - high).detach(), weight) * (unit * weight_unit)
        threshold = self.threshold.clamp(-self.threshold_clip, self.threshold_clip)
        gates = open_gates(base - threshold.view(-1, 1, 1), *self.gate)
        self.gates = gates.detach()
        return base + gates * rest
)",
                                      {&kTorchQuantizedConvolution, &kOpenGates}};

const TorchDefinition kChannelDecision{R"(
class ChannelDecision(nn.Module):
    """A factor for each channel of an image, 0 where its saliency is not above a learned threshold. `gates` are the last
    decisions."""

    def __init__(self, channels, alpha=2.0, sparse_backprop=False, noise=0.0, scale="sigmoid"):
        super().__init__()
        self.threshold = nn.Parameter(torch.zeros(channels))
        self.alpha, self.sparse_backprop, self.noise, self.scale = alpha, sparse_backprop, noise, scale
        self.gates = None

    def forward(self, saliency):
        distance = saliency - self.threshold
        score = distance
        if self.training and self.noise:
            score = score + self.noise * torch.logit(torch.rand_like(score), 1e-7)
        gates = open_gates(score, self.alpha, self.sparse_backprop, "element")
        self.gates = gates.detach()
        if self.scale == "none":
            return gates
        return gates * (2 * torch.sigmoid(distance) if self.scale == "sigmoid" else distance.clamp(min=0))
)",
                                       {&kOpenGates}};

void add_gate(const PortableLayer& layer, const char* usual_alpha, TorchArguments& arguments) {
  arguments.push_back({"alpha", torch_text(layer.number("alpha")), usual_alpha});
  arguments.push_back({"sparse_backprop", torch_text(layer.flag("sparse_backprop")), "False"});
  arguments.push_back({"granularity", "\"" + layer.word("granularity") + "\"", "\"element\""});
}

TorchLayer write_channel_gated_convolution(const PortableLayer& layer) {
  const bool two_norms = layer.flag("two_norms");
  TorchLayer torch{two_norms ? "TwoNormsCGConv2d" : "CGConv2d", torch_convolution(layer)};
  torch.arguments.push_back({"partitions", torch_text(layer.whole("partitions")), "4"});
  torch.arguments.push_back({"own_chunk", torch_text(layer.flag("own_chunk")), "False"});
  torch.arguments.push_back({"shuffle", torch_text(layer.flag("shuffle")), "False"});
  add_gate(layer, "2.0", torch.arguments);
  torch.arguments.push_back({"eps", torch_text(layer.number("eps")), torch_text(1e-5)});
  torch.arguments.push_back({"momentum", torch_text(layer.number("momentum")), torch_text(0.1)});
  torch.needs = {two_norms ? &kTwoNorms : &kChannelGated};
  return torch;
}

TorchLayer write_precision_gated_convolution(const PortableLayer& layer) {
  TorchLayer torch{"PGConv2d", torch_quantized_convolution(layer)};
  torch.arguments.push_back({"prediction_bits", torch_text(layer.whole("prediction_bits")), "2"});
  add_gate(layer, "5.0", torch.arguments);
  torch.arguments.push_back({"threshold_clip", torch_text(layer.number("threshold_clip")), "0.0"});
  torch.needs = {&kPrecisionGated};
  return torch;
}

TorchLayer write_channel_decision(const PortableLayer& layer) {
  TorchLayer torch{"ChannelDecision", {{"channels", torch_text(layer.shape("threshold")[0])}}};
  torch.arguments.push_back({"alpha", torch_text(layer.number("alpha")), "2.0"});
  torch.arguments.push_back({"sparse_backprop", torch_text(layer.flag("sparse_backprop")), "False"});
  torch.arguments.push_back({"noise", torch_text(layer.number("noise")), "0.0"});
  torch.arguments.push_back({"scale", "\"" + layer.word("scale") + "\"", "\"sigmoid\""});
  torch.needs = {&kChannelDecision};
  return torch;
}

}  // namespace

void register_gated_torch_layers(TorchLayers& layers) {
  layers.add("channel_decision", write_channel_decision);
  layers.add("channel_gated_convolution", write_channel_gated_convolution);
  layers.add("precision_gated_convolution", write_precision_gated_convolution);
}

}  // namespace sluice
