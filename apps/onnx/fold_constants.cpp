#include "apps/onnx/fold_constants.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/base/error.hpp"

namespace sluice {
namespace {

using Ints = std::vector<std::int64_t>;
using Inputs = std::vector<const ForeignConstant*>;

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ExitCode::kCheckpoint, why);
}

ForeignConstant of_wholes(Shape shape, Ints values) {
  return {std::move(shape), std::make_shared<const Ints>(std::move(values))};
}

/// What one operator works on.
struct Call {
  const ForeignNode& node;
  const Inputs& in;

  const ForeignConstant& operand(std::size_t i) const {
    if (i >= in.size() || in[i] == nullptr) refuse(concat("lacks its operand ", i));
    return *in[i];
  }
  const Ints& wholes(std::size_t i) const {
    const Wholes values = operand(i).wholes();
    if (values == nullptr) refuse(concat("has no whole numbers as operand ", i));
    return *values;
  }
  std::int64_t whole(const char* name, std::int64_t otherwise) const {
    const auto found = node.attributes.find(name);
    if (found == node.attributes.end()) return otherwise;
    const auto* value = std::get_if<std::int64_t>(&found->second);
    return value == nullptr ? otherwise : *value;
  }
  /// An attribute, or since some version an operand; nothing where it is neither.
  std::optional<Ints> list(const char* name, std::size_t i) const {
    const auto found = node.attributes.find(name);
    if (found != node.attributes.end()) {
      if (const auto* values = std::get_if<Ints>(&found->second)) return *values;
    }
    if (i < in.size() && in[i] != nullptr) return wholes(i);
    return std::nullopt;
  }
};

using Fold = std::function<ForeignConstant(const Call&)>;

ForeignConstant with_shape(const ForeignConstant& from, Ints dims) {
  ForeignConstant to = from;
  to.shape = Shape(std::move(dims));
  return to;
}

ForeignConstant reshape(const Call& call) {
  const ForeignConstant& from = call.operand(0);
  const std::optional<Ints> target = call.list("shape", 1);
  if (!target) refuse("lacks its shape");
  return with_shape(from, reshaped(from.shape.dims(), *target));
}

ForeignConstant unsqueeze(const Call& call) {
  Ints dims = call.operand(0).shape.dims();
  Ints axes = call.list("axes", 1).value_or(Ints());
  const std::size_t rank = dims.size() + axes.size();
  if (rank > kMostAxes) refuse(concat("makes ", rank, " axes"));
  for (std::int64_t& axis : axes) axis = static_cast<std::int64_t>(axis_of(axis, rank));
  std::sort(axes.begin(), axes.end());
  for (std::int64_t axis : axes) {
    if (axis > static_cast<std::int64_t>(dims.size())) refuse("has axes that do not fit");
    dims.insert(dims.begin() + axis, 1);
  }
  return with_shape(call.operand(0), dims);
}

ForeignConstant squeeze(const Call& call) {
  const Ints& from = call.operand(0).shape.dims();
  std::vector<bool> drop(from.size());
  const std::optional<Ints> axes = call.list("axes", 1);
  if (axes) {
    for (std::int64_t axis : *axes) drop[axis_of(axis, from.size())] = true;
  }
  Ints dims;
  for (std::size_t d = 0; d < from.size(); ++d) {
    if (axes && drop[d] && from[d] != 1) refuse(concat("drops a dimension of ", from[d]));
    if (axes ? !drop[d] : from[d] != 1) dims.push_back(from[d]);
  }
  return with_shape(call.operand(0), dims);
}

ForeignConstant gather(const Call& call) {
  const Ints &from = call.wholes(0), &indices = call.wholes(1);
  if (call.operand(0).shape.rank() != 1 || call.whole("axis", 0) != 0) refuse("picks from more than a list");
  Ints picked;
  for (std::int64_t index : indices) picked.push_back(from[axis_of(index, from.size())]);
  return of_wholes(call.operand(1).shape, picked);
}

/// Row-major: how far apart the places along each axis are.
Ints strides_of(const Shape& shape) {
  Ints strides(shape.rank(), 1);
  for (std::size_t d = shape.rank(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
  return strides;
}

template <class T>
std::shared_ptr<const std::vector<T>> places(const std::vector<T>& from, const Shape& shape, std::int64_t first,
                                             const Ints& steps) {
  auto to = std::make_shared<std::vector<T>>(static_cast<std::size_t>(shape.count()));
  Ints at(shape.rank());
  std::int64_t position = first;
  for (T& value : *to) {
    value = from[static_cast<std::size_t>(position)];
    for (std::size_t d = shape.rank(); d-- > 0;) {
      position += steps[d];
      if (++at[d] < shape[d]) break;
      position -= steps[d] * shape[d];
      at[d] = 0;
    }
  }
  return to;
}

/// Values of another shape: the first one, and how far apart those along each axis are in `from`.
ForeignConstant rearranged(const ForeignConstant& from, const Shape& shape, std::int64_t first, const Ints& steps) {
  if (from.floats() != nullptr) return {shape, places(*from.floats(), shape, first, steps)};
  return {shape, places(*from.wholes(), shape, first, steps)};
}

ForeignConstant slice(const Call& call) {
  const ForeignConstant& from = call.operand(0);
  const std::optional<Ints> starts = call.list("starts", 1), ends = call.list("ends", 2);
  const Ints axes = call.list("axes", 3).value_or(Ints{0}), given = call.list("steps", 4).value_or(Ints{1});
  const bool plain = starts && ends && starts->size() == 1 && ends->size() == 1 && axes.size() == 1 &&
                     given.size() == 1 && std::abs(given[0]) == 1;
  if (!plain) refuse("takes more than a part along one axis");
  const std::size_t axis = axis_of(axes[0], from.shape.rank());
  const std::int64_t step = given[0], size = from.shape[axis];
  const auto place = [&](std::int64_t at) {
    const std::int64_t counted = at < 0 ? std::max<std::int64_t>(at, -size - 1) + size : at;
    return step > 0 ? std::clamp<std::int64_t>(counted, 0, size) : std::clamp<std::int64_t>(counted, -1, size - 1);
  };
  const std::int64_t begin = place((*starts)[0]), end = place((*ends)[0]);
  Shape shape = from.shape;
  shape[axis] = std::max<std::int64_t>(0, (end - begin) * step);
  Ints steps = strides_of(from.shape);
  const std::int64_t first = begin * steps[axis];
  steps[axis] *= step;
  return rearranged(from, shape, first, steps);
}

/// `get` gives a constant's numbers of one kind.
template <class T, class Get>
ForeignConstant joined(const Call& call, Get&& get) {
  auto all = std::make_shared<std::vector<T>>();
  for (std::size_t i = 0; i < call.in.size(); ++i) {
    if (call.operand(i).shape.rank() != 1) refuse("joins more than lists");
    const auto part = get(call.operand(i));
    if (part == nullptr) refuse("joins floats and whole numbers");
    all->insert(all->end(), part->begin(), part->end());
  }
  return {Shape{static_cast<std::int64_t>(all->size())}, std::shared_ptr<const std::vector<T>>(all)};
}

Floats floats_of(const ForeignConstant& constant) {
  return constant.floats();
}
Wholes wholes_of(const ForeignConstant& constant) {
  return constant.wholes();
}

ForeignConstant concatenate(const Call& call) {
  if (call.operand(0).floats() != nullptr) return joined<float>(call, floats_of);
  return joined<std::int64_t>(call, wholes_of);
}

/// From floats to floats, whole numbers to whole numbers; and between them.
ForeignConstant cast(const Call& call) {
  const ForeignConstant& from = call.operand(0);
  const std::int64_t to = call.whole("to", 0);
  if (to == 1 || to == 10 || to == 11 || to == 16) {
    const Wholes wholes = from.wholes();
    if (wholes == nullptr) return from;
    auto floats = std::make_shared<std::vector<float>>();
    for (std::int64_t x : *wholes) floats->push_back(static_cast<float>(x));
    return {from.shape, Floats(floats)};
  }
  if (to != 6 && to != 7 && to != 9) refuse(concat("casts to type ", to, ", which is not understood"));
  const Floats floats = from.floats();
  if (floats == nullptr) return from;
  Ints wholes;
  for (float x : *floats) {
    if (!(std::abs(x) < 9e18F)) refuse("casts what is no whole number");
    wholes.push_back(static_cast<std::int64_t>(x));
  }
  return of_wholes(from.shape, wholes);
}

ForeignConstant transpose(const Call& call) {
  const ForeignConstant& from = call.operand(0);
  const std::size_t rank = from.shape.rank();
  Ints perm;
  for (std::size_t d = rank; d-- > 0;) perm.push_back(static_cast<std::int64_t>(d));
  perm = call.list("perm", call.in.size()).value_or(perm);
  Ints sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t d = 0; d < sorted.size(); ++d) {
    if (sorted[d] != static_cast<std::int64_t>(d)) refuse("has a perm that is no order of axes");
  }
  if (perm.size() != rank) refuse("has a perm that is no order of axes");
  const Ints strides = strides_of(from.shape);
  Ints dims, steps;
  for (std::int64_t axis : perm) {
    dims.push_back(from.shape[static_cast<std::size_t>(axis)]);
    steps.push_back(strides[static_cast<std::size_t>(axis)]);
  }
  return rearranged(from, Shape(dims), 0, steps);
}

/// Of a constant itself.
ForeignConstant shape(const Call& call) {
  const Ints& dims = call.operand(0).shape.dims();
  return of_wholes(Shape{static_cast<std::int64_t>(dims.size())}, dims);
}

ForeignConstant constant_of_shape(const Call& call) {
  const Ints& dims = call.wholes(0);
  std::int64_t count = 1;
  for (std::int64_t dim : dims) {
    if (dim < 0 || dim > 1024 || (count *= dim) > 1024) refuse("makes more than 1024 equal numbers");
  }
  const auto found = call.node.attributes.find("value");
  const auto* value = found == call.node.attributes.end() ? nullptr : std::get_if<ForeignConstant>(&found->second);
  if (value != nullptr && value->wholes() != nullptr && value->wholes()->size() == 1)
    return of_wholes(Shape(dims), Ints(static_cast<std::size_t>(count), value->wholes()->front()));
  const bool given = value != nullptr && value->floats() != nullptr && value->floats()->size() == 1;
  const float number = given ? value->floats()->front() : 0;
  return {Shape(dims), std::make_shared<const std::vector<float>>(static_cast<std::size_t>(count), number)};
}

std::int64_t known(std::int64_t x) {
  if (x == kAnyBatch) refuse("computes with the number of images");
  return x;
}

/// Of equal shapes, or with a single number.
template <class T, class F>
std::vector<T> each(const std::vector<T>& a, const std::vector<T>& b, F&& f) {
  if (a.size() != b.size() && a.size() != 1 && b.size() != 1) refuse("computes with shapes that differ");
  std::vector<T> result(a.empty() || b.empty() ? 0 : std::max(a.size(), b.size()));
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = f(a[a.size() == 1 ? 0 : i], b[b.size() == 1 ? 0 : i]);
  return result;
}

/// Of what `each` makes.
Shape common_shape(const Shape& a, const Shape& b) {
  const auto bare = [](const Shape& shape) {
    Ints dims = shape.dims();
    while (!dims.empty() && dims.front() == 1) dims.erase(dims.begin());
    return dims;
  };
  if (a.count() != 1 && b.count() != 1 && bare(a) != bare(b)) refuse("computes with shapes that differ");
  Ints dims = (a.count() == 1 ? b : a).dims();
  const std::size_t rank = std::max(a.rank(), b.rank());
  if (dims.size() < rank) dims.insert(dims.begin(), rank - dims.size(), 1);
  return Shape(dims);
}

/// Whole numbers wrap around, as in the programs that wrote them.
template <class F>
Fold arithmetic(F f) {
  return [f](const Call& call) -> ForeignConstant {
    const ForeignConstant &a = call.operand(0), &b = call.operand(1);
    const Shape shape = common_shape(a.shape, b.shape);
    if (a.floats() != nullptr && b.floats() != nullptr) {
      const auto of_floats = [&](float x, float y) {
        return static_cast<float>(f(static_cast<double>(x), static_cast<double>(y)));
      };
      return {shape, std::make_shared<const std::vector<float>>(each(*a.floats(), *b.floats(), of_floats))};
    }
    return of_wholes(shape, each(call.wholes(0), call.wholes(1), [&](std::int64_t x, std::int64_t y) {
                       return static_cast<std::int64_t>(
                           f(static_cast<std::uint64_t>(known(x)), static_cast<std::uint64_t>(known(y))));
                     }));
  };
}

/// Of floats.
template <class F>
Fold function(F f) {
  return [f](const Call& call) -> ForeignConstant {
    const Floats from = call.operand(0).floats();
    if (from == nullptr) refuse("has no floats as operand 0");
    auto to = std::make_shared<std::vector<float>>();
    for (float x : *from) to->push_back(static_cast<float>(f(static_cast<double>(x))));
    return {call.operand(0).shape, Floats(to)};
  };
}

template <class T, class Get>
std::shared_ptr<const std::vector<T>> clipped(const Call& call, Get&& get) {
  const auto bound = [&](std::size_t i, T otherwise) {
    if (i >= call.in.size() || call.in[i] == nullptr) return otherwise;
    const auto values = get(*call.in[i]);
    if (values == nullptr || values->size() != 1) refuse("has no number for a bound");
    return values->front();
  };
  const T low = bound(1, std::numeric_limits<T>::lowest()), high = bound(2, std::numeric_limits<T>::max());
  auto to = std::make_shared<std::vector<T>>(*get(call.operand(0)));
  for (T& x : *to) x = std::min(std::max(x, low), high);
  return to;
}

ForeignConstant clip(const Call& call) {
  const ForeignConstant& from = call.operand(0);
  if (!call.node.attributes.empty()) refuse("has bounds that are no operands");
  if (from.floats() != nullptr) return {from.shape, clipped<float>(call, floats_of)};
  for (std::int64_t x : *from.wholes()) known(x);
  return {from.shape, clipped<std::int64_t>(call, wholes_of)};
}

/// The larger of two, of floats.
ForeignConstant larger(const Call& call) {
  const ForeignConstant &a = call.operand(0), &b = call.operand(1);
  if (call.in.size() != 2 || a.floats() == nullptr || b.floats() == nullptr) refuse("is understood of two floats");
  const auto of_floats = [](float x, float y) { return std::max(x, y); };
  return {common_shape(a.shape, b.shape),
          std::make_shared<const std::vector<float>>(each(*a.floats(), *b.floats(), of_floats))};
}

/// Towards zero.
ForeignConstant divide(const Call& call) {
  const ForeignConstant &a = call.operand(0), &b = call.operand(1);
  if (a.floats() != nullptr) return arithmetic([](auto x, auto y) { return x / y; })(call);
  const auto quotient = [](std::int64_t x, std::int64_t y) {
    if (known(y) == 0 || (y == -1 && known(x) == kAnyBatch)) refuse("divides by zero");
    return known(x) / y;
  };
  return of_wholes(common_shape(a.shape, b.shape), each(call.wholes(0), call.wholes(1), quotient));
}

const std::map<std::string, Fold>& folds() {
  static const std::map<std::string, Fold> table = {{"Add", arithmetic([](auto x, auto y) { return x + y; })},
                                                    {"Cast", cast},
                                                    {"Ceil", function([](double x) { return std::ceil(x); })},
                                                    {"Clip", clip},
                                                    {"Concat", concatenate},
                                                    {"ConstantOfShape", constant_of_shape},
                                                    {"Div", divide},
                                                    {"Floor", function([](double x) { return std::floor(x); })},
                                                    {"Gather", gather},
                                                    {"Identity", [](const Call& call) { return call.operand(0); }},
                                                    {"Max", larger},
                                                    {"Mul", arithmetic([](auto x, auto y) { return x * y; })},
                                                    {"Neg", function([](double x) { return -x; })},
                                                    {"Reciprocal", function([](double x) { return 1 / x; })},
                                                    {"Reshape", reshape},
                                                    {"Shape", shape},
                                                    {"Slice", slice},
                                                    {"Sqrt", function([](double x) { return std::sqrt(x); })},
                                                    {"Squeeze", squeeze},
                                                    {"Sub", arithmetic([](auto x, auto y) { return x - y; })},
                                                    {"Transpose", transpose},
                                                    {"Unsqueeze", unsqueeze}};
  return table;
}

}  // namespace

std::size_t axis_of(std::int64_t axis, std::size_t rank) {
  const auto size = static_cast<std::int64_t>(rank);
  if (axis < -size || axis >= size) refuse(concat("has an axis ", axis, " of ", rank));
  return static_cast<std::size_t>(axis < 0 ? axis + size : axis);
}

[[noreturn]] static void refuse_count(const Ints& from, const Ints& target) {
  refuse(concat("makes ", to_string(Shape(target)), " of ", to_string(Shape(from)),
                ", which is another number of values"));
}

std::vector<std::int64_t> reshaped(const Ints& from, const Ints& target) {
  if (target.size() > kMostAxes) refuse(concat("makes ", target.size(), " axes"));
  Ints dims = target;
  std::int64_t rest = Shape(from).count();
  std::optional<std::size_t> open;
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 0 && d < from.size()) dims[d] = from[d];
    if (dims[d] == -1 && !open) {
      open = d;
    } else if (dims[d] < 1 || rest % dims[d] != 0) {
      refuse_count(from, target);
    } else {
      rest /= dims[d];
    }
  }
  if (open) dims[*open] = rest;
  if (!open && rest != 1) refuse_count(from, target);
  return dims;
}

std::optional<ForeignConstant> ConstantFolder::fold(const ForeignNode& node, const Inputs& inputs) {
  const auto found = folds().find(node.op);
  if (found == folds().end()) return std::nullopt;
  ForeignConstant result = found->second(Call{node, inputs});
  const bool shared = std::any_of(inputs.begin(), inputs.end(), [&](const ForeignConstant* input) {
    return input != nullptr && input->values == result.values;
  });
  if (!shared) left_ -= result.shape.count();
  if (left_ < 0) refuse("computes more constants than the model has");
  return result;
}

}  // namespace sluice
