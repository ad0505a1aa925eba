#include "tests/golden_check/network_text.hpp"

#include "core/base/error.hpp"
#include "core/config/keys.hpp"

namespace sluice {
namespace {

/// Writes layer sections one behind the other.
class Writer {
 public:
  void layer(const std::string& name, const std::string& type, const std::string& keys = "") {
    text += concat("[layer.", name, "]\ntype = ", type, "\n", keys);
  }
  void conv(const std::string& name, const std::string& type, std::int64_t channels, std::int64_t stride) {
    layer(name, type, concat("channels = ", channels, "\nkernel = 3\npad = 1\nstride = ", stride, "\n"));
  }

  std::string text;
};

struct Architecture {
  std::string conv1, conv2, activation;
  bool postact = false;
};

/// The two activations of a block share what they learn.
void write_block(Writer& writer, const Architecture& a, const std::string& name, const std::string& input,
                 std::int64_t channels, std::int64_t stride) {
  writer.conv(name + ".conv1", a.conv1, channels, stride);
  writer.layer(name + ".bn1", "batchnorm");
  writer.layer(name + ".relu", a.activation);
  writer.conv(name + ".conv2", a.conv2, channels, 1);
  writer.layer(name + ".bn2", "batchnorm");
  const std::string shared = a.activation == "relu" ? "" : "share = " + name + ".relu\n";
  const std::string activation = name + ".relu2", shortcut = name + ".shortcut";
  if (a.postact) writer.layer(activation, a.activation, shared);
  writer.layer(shortcut, "shortcut", concat("from = ", input, "\nchannels = ", channels, "\nstride = ", stride, "\n"));
  writer.layer(name + ".add", "add", "from = " + (a.postact ? activation : name + ".bn2") + ", " + shortcut + "\n");
  if (!a.postact) writer.layer(activation, a.activation, shared);
}

void require_layer(const Registry& registry, const std::string& type) {
  if (!registry.is_layer(type)) throw MissingKind(concat("layer type '", type, "' is not built"));
}

/// The section of the auxiliary loss that takes a target and a penalty; every one that does, where several could.
std::string gating_loss_text(GroupAttributes& attributes, const Registry& registry) {
  if (attributes.number("penalty") == 0) {
    attributes.ignore({"target"});
    return "";
  }
  for (const std::string& section : registry.auxiliary_losses()) {
    Keys keys;
    registry.make_auxiliary_loss(section, keys);
    std::string text;
    int found = 0;
    for (const KeyDoc& key : keys.docs()) {
      if (key.name != "target" && key.name != "penalty") continue;
      text += concat(key.name, " = ", attributes.number(key.name), "\n");
      ++found;
    }
    if (found == 2) return concat("[", section, "]\n", text);
  }
  throw MissingKind("no auxiliary loss with the keys target and penalty is built");
}

}  // namespace

std::string network_text(GroupAttributes& attributes, const Registry& registry, std::int64_t classes) {
  const Architecture a{attributes.text("conv1"), attributes.text("conv2"), attributes.text("activation"),
                       attributes.flag("postact")};
  attributes.ignore({"depth"});
  for (const std::string& type : {a.conv1, a.conv2, a.activation}) require_layer(registry, type);
  Writer writer;
  writer.text = "[network]\ninput = 3x32x32\n" + gating_loss_text(attributes, registry);
  for (const std::string& type : {a.conv1, a.conv2}) {
    const std::string section = "[type." + type + "]\n";
    const std::string keys = attributes.keys_of(registry, type);
    if (!keys.empty() && writer.text.find(section) == std::string::npos) writer.text += section + keys;
  }
  writer.conv("conv1", "conv", 16, 1);
  writer.layer("bn1", "batchnorm");
  writer.layer("relu", a.activation);
  std::string input = "relu";
  const std::int64_t blocks = attributes.integer("blocks_per_stage");
  for (std::int64_t stage = 1; stage <= 3; ++stage) {
    for (std::int64_t b = 0; b < blocks; ++b) {
      const std::string name = concat("layer", stage, ".", b);
      write_block(writer, a, name, input, 8 << stage, stage > 1 && b == 0 ? 2 : 1);
      input = name + (a.postact ? ".add" : ".relu2");
    }
  }
  writer.layer("pool", "global_pool");
  writer.layer("linear", "linear", concat("features = ", classes, "\n"));
  writer.layer("loss", "softmax_cross_entropy", "from = linear, labels\n");
  return writer.text;
}

}  // namespace sluice
