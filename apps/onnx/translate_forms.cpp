// Operators that say how values lie: most become no layer.
#include <algorithm>
#include <limits>

#include "apps/onnx/translation.hpp"

namespace sluice {
namespace {

using Ints = std::vector<std::int64_t>;

/// Results of a split (layers/split.cpp).
constexpr const char* kParts[] = {"", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"};
constexpr std::int64_t kMostParts = 8;
constexpr std::size_t kMostSources = 1024;

std::int64_t product(const Ints& dims) {
  return Shape(dims).count();
}

}  // namespace

std::size_t Translation::axis(const ForeignNode& node, std::int64_t axis, std::size_t rank) const {
  return named(node, [&] { return axis_of(axis, rank); });
}

void Translation::flatten_image(const ForeignNode& node, const Value& src) {
  ListedLayer made = layer(node, "flatten", {src.source});
  const bool turned = src.form == Value::Form::kLast && src.dims[0] * src.dims[1] > 1;
  finish(node, std::move(made), turned ? Value::Form::kRowsLast : Value::Form::kRows, {product(src.dims)});
  if (turned) values_[node.results[0]].image = src.dims;
}

/// The value under other sizes.
void Translation::change_dims(const ForeignNode& node, const Ints& dims) {
  Value src = settled(node, 0);
  const Ints& d = src.dims;
  if (dims == d) return become(node, src);
  if (dims.empty()) refuse(node, "leaves no axis but that of the images");
  const bool is_row = std::count_if(dims.begin(), dims.end(), [](std::int64_t dim) { return dim != 1; }) <= 1;
  if (src.form == Value::Form::kRows && is_row) {
    src.dims = dims;
    return become(node, src);
  }
  if (src.is_image() && dims.size() == 1) return flatten_image(node, src);
  if (src.form == Value::Form::kImage && dims.size() == 4 && dims[0] * dims[1] == d[0] && dims[2] == d[1] &&
      dims[3] == d[2]) {
    src.form = Value::Form::kGroups;
    src.dims = dims;
    return become(node, src);
  }
  if (src.form == Value::Form::kTurned && dims == Ints{d[0] * d[1], d[2], d[3]}) {
    if (d[0] == 1 || d[1] == 1) return become(node, {src.source, Value::Form::kImage, dims, {}});
    ListedLayer made = layer(node, "channel_shuffle", {src.source});
    made.set("groups", d[1], 2);
    return finish(node, std::move(made), Value::Form::kImage, dims);
  }
  refuse(node, concat("makes ", to_string(Shape(d)), " ", to_string(Shape(dims)), ", which no layer does"));
}

void Translation::flatten(const ForeignNode& node) {
  const Value& src = settled(node, 0);
  if (axis(node, whole(node, "axis", 1), src.dims.size() + 1) != 1) refuse(node, "begins at another axis than 1");
  change_dims(node, {product(src.dims)});
}

/// The number of images must stay what it is.
void Translation::reshape(const ForeignNode& node) {
  const Value& src = settled(node, 0);
  const std::optional<Ints> target = list(node, "shape", 1);
  if (!target || target->empty()) refuse(node, "has no shape");
  const std::int64_t first = target->front();
  const bool keeps = first == 0 || first == -1 || first == kAnyBatch || (first == model_.batch && first > 0);
  if (!keeps || std::count(target->begin() + 1, target->end(), kAnyBatch) != 0)
    refuse(node, "moves values from one image to another");
  const Ints rest(target->begin() + 1, target->end());
  change_dims(node, named(node, [&] { return reshaped(src.dims, rest); }));
}

void Translation::squeeze(const ForeignNode& node) {
  const Value& src = settled(node, 0);
  const std::optional<Ints> axes = list(node, "axes", 1);
  std::vector<bool> drop(src.dims.size() + 1);
  if (axes) {
    for (std::int64_t a : *axes) drop[axis(node, a, drop.size())] = true;
  } else {
    for (std::size_t d = 1; d < drop.size(); ++d) drop[d] = src.dims[d - 1] == 1;
  }
  if (drop[0]) refuse(node, "drops the axis of the images");
  Ints dims;
  for (std::size_t d = 1; d < drop.size(); ++d) {
    if (!drop[d]) dims.push_back(src.dims[d - 1]);
    if (drop[d] && src.dims[d - 1] != 1) refuse(node, concat("drops a dimension of ", src.dims[d - 1]));
  }
  change_dims(node, dims);
}

void Translation::unsqueeze(const ForeignNode& node) {
  const Value& src = settled(node, 0);
  Ints axes = list(node, "axes", 1).value_or(Ints());
  const std::size_t rank = src.dims.size() + 1 + axes.size();
  if (rank > kMostAxes) refuse(node, concat("makes ", rank, " axes"));
  for (std::int64_t& a : axes) a = static_cast<std::int64_t>(axis(node, a, rank));
  std::sort(axes.begin(), axes.end());
  Ints dims = src.dims;
  for (std::int64_t a : axes) {
    if (a < 1 || a > static_cast<std::int64_t>(dims.size()) + 1) refuse(node, "has axes that do not fit");
    dims.insert(dims.begin() + a - 1, 1);
  }
  change_dims(node, dims);
}

void Translation::transpose(const ForeignNode& node) {
  Value src = any_value(node, 0);
  const Ints perm = attribute<Ints>(node, "perm", {});
  Ints sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  bool fits = perm.size() == src.dims.size() + 1 && perm[0] == 0;
  for (std::size_t d = 0; d < sorted.size(); ++d) fits = fits && sorted[d] == static_cast<std::int64_t>(d);
  if (!fits) refuse(node, "moves the axis of the images, or has a perm that is no order of axes");
  Ints dims;
  for (std::size_t d = 1; d < perm.size(); ++d) dims.push_back(src.dims[static_cast<std::size_t>(perm[d] - 1)]);
  const auto turns = [&](Value::Form from, const Ints& by) { return src.form == from && perm == by; };
  if (turns(Value::Form::kImage, {0, 2, 3, 1})) {
    src.form = Value::Form::kLast;
  } else if (turns(Value::Form::kLast, {0, 3, 1, 2})) {
    src.form = Value::Form::kImage;
  } else if (turns(Value::Form::kGroups, {0, 2, 1, 3, 4})) {
    src.form = Value::Form::kTurned;
  } else if (perm != sorted && src.form != Value::Form::kRows) {
    refuse(node, "turns an image in a way that no layer does");
  }
  src.dims = dims;
  become(node, src);
}

/// Numbers around an image are for who reads it; zeros among the channels are a layer.
void Translation::pad(const ForeignNode& node) {
  if (has_operand(node, 3)) refuse(node, "names its axes; export it with pads for all of them");
  const std::string mode = attribute<std::string>(node, "mode", "constant");
  const double filling = number(node, "value", 2, 0);
  const bool never_wins = mode == "edge" || filling <= -std::numeric_limits<float>::max();
  if (!never_wins && (mode != "constant" || filling != 0)) refuse(node, "pads with something else than zeros");
  Value src = any_value(node, 0);
  if (src.has_steps() || (src.is_padded() && src.pads_never_win != never_wins)) src = settled(node, 0);
  if (!src.is_image()) refuse(node, "pads what is no image");
  const std::optional<Ints> pads = list(node, "pads", 1);
  if (!pads || pads->size() != 8) refuse(node, "has no pads for both sides of four axes");
  constexpr std::int64_t kMost = 1 << 30;
  for (std::int64_t p : *pads) {
    if (p < 0 || p > kMost) refuse(node, concat("has pads of ", p, ", expected 0 to ", kMost));
  }
  const auto before = [&](std::size_t a) { return (*pads)[a]; };
  const auto behind = [&](std::size_t a) { return (*pads)[a + 4]; };
  const bool last = src.form == Value::Form::kLast;
  const std::size_t channel = last ? 3 : 1, row = last ? 1 : 2;
  if (before(0) != 0 || behind(0) != 0) refuse(node, "adds images");
  const Pads around = {before(row), before(row + 1), behind(row), behind(row + 1)};
  if (before(channel) != 0 || behind(channel) != 0) {
    if (before(channel) != behind(channel) || around != Pads{0, 0, 0, 0} || never_wins)
      refuse(node, "pads channels otherwise than with as many zeros before as behind them");
    return pad_channels(node, settled(node, 0), channel - 1, before(channel));
  }
  for (std::size_t side = 0; side < 4; ++side) src.pads[side] += around[side];
  if (*std::max_element(src.pads.begin(), src.pads.end()) > kMost) refuse(node, "pads too far");
  src.pads_never_win = never_wins && src.is_padded();
  src.by = &node;
  become(node, src);
}

void Translation::pad_channels(const ForeignNode& node, Value src, std::size_t axis, std::int64_t zeros) {
  src.dims[axis] += 2 * zeros;
  ListedLayer made = layer(node, "pad_shortcut", {src.source});
  made.set("channels", src.dims[axis]);
  finish(node, std::move(made), src.form, src.dims);
}

/// What stands at the beginning of a list is that of an earlier Concat where it is the same.
void Translation::concatenate(const ForeignNode& node) {
  if (node.attributes.count("axis") == 0) refuse(node, "has no axis");
  if (node.inputs.size() > kMostSources) refuse(node, concat("joins more than ", kMostSources, " values"));
  const Value first = value(node, 0);
  std::vector<LayerSource> sources;
  Ints dims = first.dims;
  const std::size_t along = first.channel_axis();
  dims[along] = 0;
  if (axis(node, whole(node, "axis", 1), dims.size() + 1) != along + 1 || first.form == Value::Form::kRowsLast)
    refuse(node, "joins along another axis than that of the channels");
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Value& part = value(node, i);
    Ints others = part.dims;
    if (part.form != first.form || others.size() != dims.size()) refuse(node, "joins values of different kinds");
    dims[along] += others[along];
    others[along] = dims[along];
    if (others != dims) refuse(node, "joins images of different sizes");
    sources.push_back(part.source);
  }
  const std::vector<LayerSource> all = sources;
  for (std::size_t count = all.size(); count > 1; --count) {
    const auto earlier =
        concats_.find(std::vector<LayerSource>(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count)));
    if (earlier == concats_.end()) continue;
    sources.erase(sources.begin(), sources.begin() + static_cast<std::ptrdiff_t>(count));
    sources.insert(sources.begin(), earlier->second);
    break;
  }
  if (sources.size() == 1) return become(node, {sources[0], first.form, dims, {}});
  const LayerSource made = add(node, layer(node, "concat", sources), dims);
  concats_[all] = made;
  become(node, {made, first.form, dims, {}});
}

/// One of equal parts of the channels; the first that is asked for makes the layer.
void Translation::part(const ForeignNode& node, const std::string& result, const Value& src, std::int64_t parts,
                       std::int64_t index) {
  const auto [found, isnew] = splits_.try_emplace({src.source, parts});
  Value made = src;
  made.dims[src.channel_axis()] /= parts;
  if (isnew) {
    ListedLayer split = layer(node, "split", {src.source});
    split.set("parts", parts, 2);
    found->second = add(node, std::move(split), made.dims);
  }
  made.source = {found->second.layer, kParts[index]};
  values_[result] = made;
}

void Translation::split(const ForeignNode& node) {
  const Value src = value(node, 0);
  const auto count = static_cast<std::int64_t>(node.results.size());
  const std::int64_t channels = src.channels();
  if (axis(node, whole(node, "axis", 0), src.dims.size() + 1) != src.channel_axis() + 1 ||
      src.form == Value::Form::kRowsLast)
    refuse(node, "splits along another axis than that of the channels");
  const Ints sizes = list(node, "split", 1).value_or(Ints(static_cast<std::size_t>(count), channels / count));
  const bool equal = std::all_of(sizes.begin(), sizes.end(), [&](std::int64_t size) { return size == sizes[0]; }) &&
                     static_cast<std::int64_t>(sizes.size()) == count && sizes[0] > 0 && sizes[0] <= channels &&
                     sizes[0] * count == channels && count <= kMostParts;
  if (!equal)
    refuse(node, concat("splits ", channels, " channels otherwise than into 2 to ", kMostParts, " equal parts"));
  if (count == 1) return become(node, src);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string& result = node.results[static_cast<std::size_t>(i)];
    if (!result.empty()) part(node, result, src, count, i);
  }
}

/// Some of the channels, or every so many-th pixel.
void Translation::slice(const ForeignNode& node) {
  const Ints starts = list(node, "starts", 1).value_or(Ints()), ends = list(node, "ends", 2).value_or(Ints()),
             axes = list(node, "axes", 3).value_or(Ints{0}), steps = list(node, "steps", 4).value_or(Ints{1});
  if (starts.size() != 1 || ends.size() != 1 || axes.size() != 1 || steps.size() != 1)
    refuse(node, "takes parts along several axes at once");
  const std::size_t along = axis(node, axes[0], any_value(node, 0).dims.size() + 1);
  if (starts[0] == 0 && ends[0] == std::numeric_limits<std::int64_t>::max() && steps[0] == 1)
    return become(node, any_value(node, 0));
  if (steps[0] != 1) return take_steps(node, along, starts[0], ends[0], steps[0]);
  const Value src = value(node, 0);
  if (along != src.channel_axis() + 1 || src.form == Value::Form::kRowsLast)
    refuse(node, "takes another part than some of the channels");
  const std::int64_t channels = src.channels();
  const auto place = [&](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? std::max(at, -channels) + channels : at, 0, channels);
  };
  const std::int64_t begin = place(starts[0]), size = place(ends[0]) - begin;
  if (size == channels) return become(node, src);
  if (size < 1 || channels % size != 0 || begin % size != 0 || channels / size > kMostParts)
    refuse(node, concat("takes channels ", begin, " to ", begin + size, " of ", channels, ", which is none of up to ",
                        kMostParts, " equal parts"));
  part(node, node.results[0], src, channels / size, begin / size);
}

/// The stride of a 1x1 convolution, which Keras takes before.
void Translation::take_steps(const ForeignNode& node, std::size_t along, std::int64_t begin, std::int64_t end,
                             std::int64_t step) {
  Value src = any_value(node, 0);
  if (src.is_padded()) src = settled(node, 0);
  const std::size_t row = src.form == Value::Form::kLast ? 1 : 2;
  const bool fits = src.is_image() && (along == row || along == row + 1) && begin == 0 && step > 0 &&
                    step <= std::numeric_limits<std::int32_t>::max() && end >= src.dims[along - 1] &&
                    src.step[along - row] == 1;
  if (!fits) refuse(node, "takes steps otherwise than from the first pixel on to the last");
  src.dims[along - 1] = (src.dims[along - 1] - 1) / step + 1;
  src.step[along - row] = step;
  src.by = &node;
  become(node, src);
}

void Translation::cast(const ForeignNode& node) {
  const std::int64_t to = whole(node, "to", 0);
  if (to != 1 && to != 10 && to != 11 && to != 16) refuse(node, "makes whole numbers of values that are computed");
  identity(node);
}

/// The loss has it.
void Translation::softmax(const ForeignNode& node) {
  const Value& src = value(node, 0);
  const bool last = src.form == Value::Form::kRows && axis(node, whole(node, "axis", model_.opset < 13 ? 1 : -1),
                                                           src.dims.size() + 1) == src.channel_axis() + 1;
  if (!last || node.results[0] != model_.answer) refuse(node, "is understood of the answer alone");
  identity(node);
}

void Translation::shape(const ForeignNode& node) {
  Ints dims = settled(node, 0).dims;
  dims.insert(dims.begin(), model_.batch > 0 ? model_.batch : kAnyBatch);
  const auto size = static_cast<std::int64_t>(dims.size());
  const auto place = [&](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? std::max(at, -size) + size : at, 0, size);
  };
  const std::int64_t begin = place(whole(node, "start", 0)), end = std::max(begin, place(whole(node, "end", size)));
  constants_[node.results[0]] = {Shape{end - begin},
                                 std::make_shared<const Ints>(dims.begin() + begin, dims.begin() + end)};
}

}  // namespace sluice
