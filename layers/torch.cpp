#include "layers/torch.hpp"

#include <limits>

namespace sluice {
namespace {

const TorchDefinition kPactRelu{R"(
class PACTReLU(nn.Module):
    """A ReLU that is clipped at a learned bound (Choi et al. 2018, arXiv 1805.06085)."""

    def __init__(self):
        super().__init__()
        self.upper_bound = nn.Parameter(torch.full((1,), 6.0))

    def forward(self, x):
        return torch.where(x > self.upper_bound, self.upper_bound, x.clamp(min=0))
)",
                                {}};

const TorchDefinition kPadShortcut{R"(
class PadShortcut(nn.Module):
    """Every stride-th pixel, between channels of zeros (He et al. 2016, option A)."""

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.stride, self.pad = stride, (out_channels - in_channels) // 2

    def forward(self, x):
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))
)",
                                   {}};

const TorchDefinition kRPReLU{R"(
class RPReLU(nn.PReLU):
    """A PReLU between two learned shifts (Liu et al. 2020, arXiv 2003.03488)."""

    def __init__(self, channels):
        super().__init__(channels)
        self.shift_x = nn.Parameter(torch.zeros(channels))
        self.shift_y = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return super().forward(x + self.shift_x.view(-1, 1, 1)) + self.shift_y.view(-1, 1, 1)
)",
                              {}};

const TorchDefinition kStochasticDepth{R"(
class StochasticDepth(nn.Module):
    """Leaves a branch out for random images in training (Huang et al. 2016, arXiv 1603.09382)."""

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training:
            return x
        kept = torch.rand((x.shape[0],) + (1,) * (x.dim() - 1), device=x.device) >= self.p
        return x * (kept.to(x.dtype) / (1 - self.p))
)",
                                       {}};

/// A function of one source, which is a module in a chain.
TorchLayer function(const std::string& call, const std::string& module, TorchArguments arguments = {}) {
  return {module, std::move(arguments), call, false, {}};
}

TorchLayer expression(const std::string& call, bool is_operation = false) {
  return {"", {}, call, is_operation, {}};
}

TorchArgument sized(const char* name, std::int64_t size) {
  return {name, torch_text(size), ""};
}

TorchLayer write_convolution(const PortableLayer& layer) {
  TorchLayer torch{"nn.Conv2d", torch_convolution(layer)};
  torch.arguments.push_back({"groups", torch_text(layer.whole("groups")), "1"});
  torch.arguments.push_back({"bias", torch_text(layer.flag("bias")), "True"});
  return torch;
}

TorchLayer write_linear(const PortableLayer& layer) {
  const Shape weights = layer.shape("weight");
  TorchLayer torch{"nn.Linear", {sized("in_features", weights[1]), sized("out_features", weights[0])}};
  torch.arguments.push_back({"bias", torch_text(layer.flag("bias")), "True"});
  if (layer.src_shapes[0].rank() != 2) torch.call = "{self}({0}.flatten(1))";
  return torch;
}

TorchLayer write_batch_normalization(const PortableLayer& layer) {
  const char* const type = layer.src_shapes[0].rank() == 4 ? "nn.BatchNorm2d" : "nn.BatchNorm1d";
  return {type,
          {sized("num_features", layer.shape("running_mean")[0]),
           {"eps", torch_text(layer.number("eps")), torch_text(1e-5)},
           {"momentum", torch_text(layer.number("momentum")), torch_text(0.1)},
           {"affine", torch_text(layer.flag("affine")), "True"}}};
}

TorchLayer write_clip(const PortableLayer& layer) {
  const double low = layer.number("low"), high = layer.number("high");
  if (low == 0 && high == std::numeric_limits<double>::infinity()) return function("F.relu({0})", "nn.ReLU");
  if (low == 0 && high == 6) return function("F.relu6({0})", "nn.ReLU6");
  const std::string bounds = torch_text(low) + ", " + torch_text(high);
  return function("F.hardtanh({0}, " + bounds + ")", "nn.Hardtanh",
                  {{"min_val", torch_text(low), ""}, {"max_val", torch_text(high), ""}});
}

TorchLayer write_clip_at_learned_bound(const PortableLayer&) {
  TorchLayer torch{"PACTReLU", {}};
  torch.needs = {&kPactRelu};
  return torch;
}

TorchLayer write_shifted_prelu(const PortableLayer& layer) {
  TorchLayer torch{"RPReLU", {sized("channels", layer.src_shapes[0][kC])}};
  torch.needs = {&kRPReLU};
  return torch;
}

TorchLayer write_pool(const PortableLayer& layer, const char* type) {
  const std::int64_t kernel = layer.whole("kernel");
  return {type,
          {sized("kernel_size", kernel),
           {"stride", torch_text(layer.whole("stride")), torch_text(kernel)},
           {"padding", torch_text(layer.whole("pad")), "0"},
           {"ceil_mode", torch_text(layer.flag("ceil_mode")), "False"}}};
}

TorchLayer write_max_pool(const PortableLayer& layer) {
  return write_pool(layer, "nn.MaxPool2d");
}

TorchLayer write_average_pool(const PortableLayer& layer) {
  TorchLayer torch = write_pool(layer, "nn.AvgPool2d");
  torch.arguments.push_back({"count_include_pad", torch_text(layer.flag("count_include_pad")), "True"});
  return torch;
}

TorchLayer write_adaptive_average_pool(const PortableLayer& layer) {
  return {"nn.AdaptiveAvgPool2d", {sized("output_size", layer.whole("size"))}};
}

TorchLayer write_pad_channels(const PortableLayer& layer) {
  return {"PadShortcut",
          {sized("in_channels", layer.src_shapes[0][kC]),
           sized("out_channels", layer.whole("channels")),
           {"stride", torch_text(layer.whole("stride")), "1"}},
          "{self}({*})",
          false,
          {&kPadShortcut}};
}

TorchLayer write_leaky_relu(const PortableLayer& layer) {
  const std::string slope = torch_text(layer.number("slope"));
  return function("F.leaky_relu({0}, " + slope + ")", "nn.LeakyReLU", {{"negative_slope", slope, ""}});
}

/// A number for each channel goes with all of its pixels.
TorchLayer write_multiply(const PortableLayer& layer) {
  return expression(layer.src_shapes[0] == layer.src_shapes[1] ? "{0} * {1}" : "{0} * {1}[:, :, None, None]", true);
}

TorchLayer write_split(const PortableLayer& layer) {
  return expression("{0}.chunk(" + torch_text(layer.whole("parts")) + ", 1)");
}

TorchLayer write_channel_shuffle(const PortableLayer& layer) {
  const std::string groups = torch_text(layer.whole("groups"));
  return expression("{0}.unflatten(1, (" + groups + ", -1)).transpose(1, 2).flatten(1, 2)");
}

TorchLayer write_zero_pad(const PortableLayer& layer) {
  std::string sides;
  for (const char* side : {"left", "right", "top", "bottom"})
    sides += (sides.empty() ? "(" : ", ") + torch_text(layer.whole(side));
  sides += ")";
  return function("F.pad({0}, " + sides + ")", "nn.ZeroPad2d", {{"padding", sides, ""}});
}

TorchLayer write_dropout(const PortableLayer& layer) {
  return {"nn.Dropout", {{"p", torch_text(layer.number("rate")), ""}}};
}

TorchLayer write_stochastic_depth(const PortableLayer& layer) {
  TorchLayer torch{"StochasticDepth", {{"p", torch_text(layer.number("rate")), ""}}};
  torch.needs = {&kStochasticDepth};
  return torch;
}

}  // namespace

TorchArguments torch_convolution(const PortableLayer& layer) {
  return {sized("in_channels", layer.src_shapes[0][kC]),    sized("out_channels", layer.whole("channels")),
          sized("kernel_size", layer.whole("kernel")),      {"stride", torch_text(layer.whole("stride")), "1"},
          {"padding", torch_text(layer.whole("pad")), "0"}, {"dilation", torch_text(layer.whole("dilation")), "1"}};
}

void register_torch_layers(TorchLayers& layers) {
  const auto always = [&](const char* kind, const TorchLayer& torch) {
    layers.add(kind, [torch](const PortableLayer&) { return torch; });
  };
  always("add", expression("{0} + {1}", true));
  always("concat", expression("torch.cat([{*}], 1)"));
  always("flatten", function("{0}.flatten(1)", "nn.Flatten"));
  always("global_average_pool", expression("{0}.mean((2, 3))"));
  always("hard_sigmoid", function("F.hardsigmoid({0})", "nn.Hardsigmoid"));
  always("hard_swish", function("F.hardswish({0})", "nn.Hardswish"));
  always("sigmoid", function("torch.sigmoid({0})", "nn.Sigmoid"));
  always("silu", function("F.silu({0})", "nn.SiLU"));
  layers.add("adaptive_average_pool", write_adaptive_average_pool);
  layers.add("average_pool", write_average_pool);
  layers.add("batch_normalization", write_batch_normalization);
  layers.add("channel_shuffle", write_channel_shuffle);
  layers.add("clip", write_clip);
  layers.add("clip_at_learned_bound", write_clip_at_learned_bound);
  layers.add("convolution", write_convolution);
  layers.add("dropout", write_dropout);
  layers.add("stochastic_depth", write_stochastic_depth);
  layers.add("leaky_relu", write_leaky_relu);
  layers.add("linear", write_linear);
  layers.add("max_pool", write_max_pool);
  layers.add("multiply", write_multiply);
  layers.add("pad_channels", write_pad_channels);
  layers.add("shifted_prelu", write_shifted_prelu);
  layers.add("split", write_split);
  layers.add("zero_pad", write_zero_pad);
  register_quantized_torch_layers(layers);
}

}  // namespace sluice
